"""Answers of a classifier: calibrated probabilities from the graph's logits, and their forms for people, JSON, CSV and MLflow. No torch.

`card` is the bundle's bundle.json: `classes`, and the `temperature` that logits are divided by (Guo et al. 2017). A prediction is the
probabilities [K] of one image.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.core.errors import UserError, nearest
from neocog.tasks.classification.calibration import probabilities
from neocog.tasks.task import ExplainedOutput

FILES = (  # of the package, that answer where neocog is not installed: this one and what only it imports
    "statistics/__init__.py",
    "tasks/classification/__init__.py",
    "tasks/classification/calibration.py",
    "tasks/classification/respond.py",
)
SCHEMA = (  # of an answer, as MLflow's signature
    {"type": "string", "name": "class", "required": True},
    {"type": "double", "name": "probability", "required": True},
    {"type": "map", "values": {"type": "double"}, "name": "probabilities", "required": True},
)
CALIBRATION = "temperature"  # entry of the card
CLASS_BYTES = 150  # that a class takes in an answer, and in the dictionaries before it

Card = Mapping[str, Any]
Floats = NDArray[np.float32]


def output_shape(card: Card) -> tuple[int, ...]:
    """The shape (K,) of the outputs for one image."""
    return (len(card["classes"]),)


def answer_bytes(card: Card) -> int:
    """Memory that the answer for one image takes."""
    return CLASS_BYTES * len(card["classes"])


def calibrated(outputs: NDArray[np.floating], *, card: Card) -> Floats:
    """Predictions [N, K] from the graph's outputs [N, K]: softmax of the logits over the temperature."""
    return probabilities(outputs, temperature=float(card.get("temperature", 1.0)))


def rule(card: Card) -> str:
    """How outputs become predictions, in a sentence's half."""
    return f"softmax of them divided by {card.get(CALIBRATION, 1.0):g} is what `neocog predict` tells"


def answers(predictions: Floats, *, card: Card) -> list[dict[str, Any]]:
    """Each prediction as a JSON object: `class`, its `probability`, and the `probabilities` of all by name, likeliest first."""
    classes = card["classes"]
    rows = []
    for row, order in zip(predictions.tolist(), _ranked(predictions).tolist(), strict=True):
        named = {classes[i]: row[i] for i in order}
        rows.append({"class": classes[order[0]], "probability": row[order[0]], "probabilities": named})
    return rows


def likeliest(prediction: Floats, *, card: Card, top: int) -> list[tuple[str, float]]:
    """The `top` likeliest classes and their probabilities."""
    return [(card["classes"][i], float(prediction[i])) for i in _ranked(prediction[None])[0, :top]]


def label_and_confidence(prediction: Floats, *, card: Card) -> tuple[str, float]:
    """The class that is answered, and its probability."""
    return likeliest(prediction, card=card, top=1)[0]


def text(prediction: Floats, *, card: Card, top: int) -> str:
    """One prediction for people: `Ankle boot 93.1%, Sneaker 5.0%, Sandal 1.2%`."""
    return ", ".join(f"{name} {probability:.1%}" for name, probability in likeliest(prediction, card=card, top=top))


def entries(prediction: Floats, *, card: Card, top: int) -> list[dict[str, Any]]:
    """One prediction as `neocog predict --json` writes it: [{class, probability}], the likeliest first."""
    return [{"class": name, "probability": p} for name, p in likeliest(prediction, card=card, top=top)]


def columns(*, card: Card, top: int) -> list[str]:
    """The columns of `cells`: class_1, probability_1, class_2, ..."""
    ranks = range(1, min(top, len(card["classes"])) + 1)
    return [f"{what}_{i}" for i in ranks for what in ("class", "probability")]


def cells(prediction: Floats, *, card: Card, top: int) -> list[str]:
    """One prediction as cells of a CSV table."""
    return [cell for name, p in likeliest(prediction, card=card, top=top) for cell in (name, f"{p:.6f}")]


def target(prediction: Floats, *, card: Card, name: str | None, model: str) -> ExplainedOutput:
    """The output to explain: that of the class `name`, by default the likeliest. Raises UserError for an unknown class."""
    classes = card["classes"]
    if name is not None and name not in classes:
        raise UserError(f"--of {name}: {model} knows no such class; {nearest(name, classes)}")
    index = int(prediction.argmax()) if name is None else classes.index(name)
    return ExplainedOutput(index, classes[index], float(prediction[index]))


def _ranked(predictions: Floats) -> NDArray[np.int64]:
    """Classes [N, K] from the likeliest on; a tie goes to the lower class, as in argmax."""
    return np.argsort(-predictions, axis=1, kind="stable")
