"""Answers about images: boxes with class and score, and the forms of this for people, JSON, CSV and MLflow. No torch.

`card` is the bundle's bundle.json: `classes`, and the `threshold` of the score. A prediction is the detections [D, 6] of one image: x1, y1,
x2, y2 in pixels of the image that the model is given, score, class; rows of score 0 are none.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from neocog.core.errors import UserError
from neocog.tasks.detection import DETECTIONS

FILES = (  # of the package, that answer where neocog is not installed: this one and what only it imports
    "tasks/detection/__init__.py",
    "tasks/detection/respond.py",
)
SCHEMA = (  # of an answer, as MLflow's signature
    {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "label": {"type": "string", "required": True},
                "score": {"type": "double", "required": True},
                "box": {"type": "array", "items": {"type": "double"}, "required": True},
            },
        },
        "name": "detections",
        "required": True,
    },
)
CALIBRATION = "threshold"  # entry of the card
DETECTION_BYTES = 400  # that a detection takes in an answer, and in the dictionaries before it
NONE = "nothing"

Card = Mapping[str, Any]
Floats = NDArray[np.float32]


def output_shape(card: Card) -> tuple[int, ...]:
    """The shape (D, 6) of the detections of one image."""
    return (DETECTIONS, 6)


def answer_bytes(card: Card) -> int:
    """Memory that the answer for one image takes."""
    return DETECTION_BYTES * DETECTIONS


def calibrated(outputs: NDArray[np.floating], *, card: Card) -> Floats:
    """Predictions [N, D, 6] from the graph's outputs [N, D, 6]: detections already."""
    return np.asarray(outputs, np.float32)


def rule(card: Card) -> str:
    """How outputs become predictions, in a sentence's half."""
    return f"`neocog predict` names the detections from a score of {card[CALIBRATION]:g} on"


def answers(predictions: Floats, *, card: Card) -> list[dict[str, Any]]:
    """Each prediction as a JSON object: `detections` of label, score and box [x1, y1, x2, y2], the likeliest first."""
    return [{"detections": _given(prediction, card)} for prediction in predictions]


def likeliest(prediction: Floats, *, card: Card, top: int) -> list[tuple[str, float]]:
    """Class and score of the `top` likeliest detections."""
    return [(card["classes"][int(row[5])], float(row[4])) for row in prediction[:top] if row[4] > 0] or [(NONE, 1.0)]


def label_and_confidence(prediction: Floats, *, card: Card) -> tuple[str, float]:
    """What is there in words, and the score of the least certain; of nothing, how far the likeliest is from being there."""
    given = _given(prediction, card)
    names = [each["label"] for each in given]
    words = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names)) or NONE
    return words, min((each["score"] for each in given), default=1 - float(prediction[:, 4].max()))


def text(prediction: Floats, *, card: Card, top: int) -> str:
    """One prediction for people: `Coat 97.1% at 3,4,20,30; Bag 61.0% at 40,2,60,18`, or `nothing`."""
    given = _given(prediction, card)[:top]
    return (
        "; ".join(
            f"{each['label']} {each['score']:.1%} at {','.join(f'{side:.0f}' for side in each['box'])}"
            for each in given
        )
        or NONE
    )


def entries(prediction: Floats, *, card: Card, top: int) -> list[dict[str, Any]]:
    """One prediction as `neocog predict --json` writes it: [{label, score, box}] from the threshold on, the likeliest first."""
    return _given(prediction, card)[:top]


def columns(*, card: Card, top: int) -> list[str]:
    """The columns of `cells`."""
    return ["labels", "scores", "boxes"]


def cells(prediction: Floats, *, card: Card, top: int) -> list[str]:
    """One prediction as cells of a CSV table: labels, scores and boxes (`x1 y1 x2 y2`) of what is given, separated by `;`."""
    given = _given(prediction, card)[:top]
    return [
        ";".join(each["label"] for each in given),
        ";".join(f"{each['score']:.6f}" for each in given),
        ";".join(" ".join(f"{side:.2f}" for side in each["box"]) for each in given),
    ]


def target(prediction: Floats, *, card: Card, name: str | None, model: str) -> NoReturn:
    """Raises UserError: an explanation is about one output of an image, a detector has many."""
    raise UserError(f"{model} is a detector, whose boxes say where it looked; `neocog predict` shows them")


def _given(prediction: Floats, card: Card) -> list[dict[str, Any]]:
    rows = prediction[(prediction[:, 4] > 0) & (prediction[:, 4] >= card[CALIBRATION])].astype(float).tolist()
    return [
        {"label": card["classes"][int(row[5])], "score": row[4], "box": [round(side, 3) for side in row[:4]]}
        for row in rows
    ]
