"""Answers about images: the labels from their thresholds on, and the forms of this for people, JSON, CSV and MLflow. No torch.

`card` is the bundle's bundle.json: `classes`, and the `thresholds` of the labels. A prediction is the probabilities [K] of one image.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.core.errors import UserError, nearest
from neocog.tasks.task import ExplainedOutput

FILES = (  # of the package, that answer where neocog is not installed: this one and what only it imports
    "tasks/multilabel/__init__.py",
    "tasks/multilabel/respond.py",
)
SCHEMA = (  # of an answer, as MLflow's signature
    {"type": "array", "items": {"type": "string"}, "name": "labels", "required": True},
    {"type": "map", "values": {"type": "double"}, "name": "probabilities", "required": True},
)
CALIBRATION = "thresholds"  # entry of the card
CLASS_BYTES = 150  # that a label takes in an answer, and in the dictionaries before it
NONE = "no label"

Card = Mapping[str, Any]
Floats = NDArray[np.float32]


def output_shape(card: Card) -> tuple[int, ...]:
    """The shape (K,) of the outputs for one image."""
    return (len(card["classes"]),)


def answer_bytes(card: Card) -> int:
    """Memory that the answer for one image takes."""
    return CLASS_BYTES * len(card["classes"])


def calibrated(outputs: NDArray[np.floating], *, card: Card) -> Floats:
    """Predictions [N, K] from the graph's outputs [N, K]: probabilities already."""
    return np.asarray(outputs, np.float32)


def rule(card: Card) -> str:
    """How outputs become predictions, in a sentence's half."""
    return (
        f"`neocog predict` gives a label from its threshold on: {', '.join(f'{each:g}' for each in card[CALIBRATION])}"
    )


def answers(predictions: Floats, *, card: Card) -> list[dict[str, Any]]:
    """Each prediction as a JSON object: `labels` that are given, and the `probabilities` of all by name, likeliest first."""
    rows = []
    for prediction in predictions:
        every = _likeliest(prediction, card)
        rows.append(
            {"labels": [name for name, _, given in every if given], "probabilities": {n: p for n, p, _ in every}}
        )
    return rows


def likeliest(prediction: Floats, *, card: Card, top: int) -> list[tuple[str, float]]:
    """The `top` likeliest labels and their probabilities."""
    return [(name, probability) for name, probability, _ in _likeliest(prediction, card)[:top]]


def label_and_confidence(prediction: Floats, *, card: Card) -> tuple[str, float]:
    """The labels that are given, and the probability of the least certain of them; of none, that the likeliest is absent."""
    given = _given(prediction, card)
    names = ", ".join(name for name, _ in given) or NONE
    return names, min((p for _, p in given), default=1 - float(prediction.max()))


def text(prediction: Floats, *, card: Card, top: int) -> str:
    """One prediction for people: `3 97.1%, 8 61.0%`, or `no label`."""
    return ", ".join(f"{name} {probability:.1%}" for name, probability in _given(prediction, card)[:top]) or NONE


def entries(prediction: Floats, *, card: Card, top: int) -> list[dict[str, Any]]:
    """One prediction as `neocog predict --json` writes it: [{label, probability}] of those that are given, the likeliest first."""
    return [{"label": name, "probability": p} for name, p in _given(prediction, card)[:top]]


def columns(*, card: Card, top: int) -> list[str]:
    """The columns of `cells`."""
    return ["labels", "probabilities"]


def cells(prediction: Floats, *, card: Card, top: int) -> list[str]:
    """One prediction as cells of a CSV table: the labels that are given, and their probabilities, both separated by `;`."""
    given = _given(prediction, card)[:top]
    return [";".join(name for name, _ in given), ";".join(f"{p:.6f}" for _, p in given)]


def target(prediction: Floats, *, card: Card, name: str | None, model: str) -> ExplainedOutput:
    """The output to explain: that of the label `name`, by default the likeliest. Raises UserError for an unknown label."""
    classes = card["classes"]
    if name is not None and name not in classes:
        raise UserError(f"--of {name}: {model} knows no such label; {nearest(name, classes)}")
    index = int(np.argmax(prediction)) if name is None else classes.index(name)
    return ExplainedOutput(index, classes[index], float(prediction[index]))


def _given(prediction: Floats, card: Card) -> list[tuple[str, float]]:
    return [(name, probability) for name, probability, given in _likeliest(prediction, card) if given]


def _likeliest(prediction: Floats, card: Card) -> list[tuple[str, float, bool]]:
    """Every label with its probability and whether it is given, the likeliest first."""
    given = prediction >= np.array(card["thresholds"], np.float32)
    return [(card["classes"][i], float(prediction[i]), bool(given[i])) for i in np.argsort(-prediction, kind="stable")]
