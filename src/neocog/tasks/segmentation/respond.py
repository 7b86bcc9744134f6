"""Answers about images: the classes that they show and where, and the forms of this for people, JSON, CSV and MLflow. No torch.

`card` is the bundle's bundle.json: `classes`, and the `size` of its `input`. A prediction is the mask uint8 [H, W] of one image.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from neocog.core import image_size
from neocog.core.errors import UserError
from neocog.tasks.segmentation.run_lengths import Mask, runs_of

FILES = (  # of the package, that answer where neocog is not installed: this one and what only it imports
    "tasks/segmentation/__init__.py",
    "tasks/segmentation/respond.py",
    "tasks/segmentation/run_lengths.py",
)
SCHEMA = (  # of an answer, as MLflow's signature
    {"type": "array", "items": {"type": "long"}, "name": "size", "required": True},
    {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "label": {"type": "string", "required": True},
                "share": {"type": "double", "required": True},
                "runs": {"type": "array", "items": {"type": "long"}, "required": True},
            },
        },
        "name": "classes",
        "required": True,
    },
)
CALIBRATION = "calibration"  # entry of the card, which a segmentation has not
PIXEL_BYTES = (
    64  # that a pixel takes in an answer and in the lists before it, at most: where no two neighbours are equal
)

Card = Mapping[str, Any]


def output_shape(card: Card) -> tuple[int, ...]:
    """The shape (H, W) of the mask of one image."""
    return image_size.pair(card["input"]["size"])


def answer_bytes(card: Card) -> int:
    """Memory that the answer for one image takes."""
    height, width = output_shape(card)
    return PIXEL_BYTES * height * width


def calibrated(outputs: NDArray[Any], *, card: Card) -> Mask:
    """Predictions [N, H, W] from the graph's outputs [N, H, W]: masks already."""
    return np.asarray(outputs, np.uint8)


def rule(card: Card) -> str:
    """How outputs become predictions, in a sentence's half."""
    return "every pixel has its likeliest class"


def answers(predictions: Mask, *, card: Card) -> list[dict[str, Any]]:
    """Each prediction as a JSON object: its `size` [height, width], and the `classes` that it shows, of which the largest comes first."""
    return [{"size": list(mask.shape), "classes": _shown(mask, card)} for mask in predictions]


def label_and_confidence(prediction: Mask, *, card: Card) -> tuple[str, float]:
    """What is there in words, and the share of the pixels of the largest class."""
    found = likeliest(prediction, card=card, top=len(card["classes"]))
    return ", ".join(name for name, _ in found), found[0][1]


def likeliest(prediction: Mask, *, card: Card, top: int) -> list[tuple[str, float]]:
    """Class and share of the pixels of the `top` largest classes."""
    pixels = np.bincount(prediction.ravel(), minlength=len(card["classes"]))
    order = np.argsort(-pixels, kind="stable")[:top].tolist()
    return [(card["classes"][label], float(pixels[label] / prediction.size)) for label in order if pixels[label]]


def text(prediction: Mask, *, card: Card, top: int) -> str:
    """One prediction for people: `background 71.0%, Coat 17.1%, Bag 11.9%`."""
    return ", ".join(f"{name} {share:.1%}" for name, share in likeliest(prediction, card=card, top=top))


def entries(prediction: Mask, *, card: Card, top: int) -> list[dict[str, Any]]:
    """One prediction as `neocog predict --json` writes it: [{label, share, runs}] of the `top` largest classes."""
    return _shown(prediction, card)[:top]


def columns(*, card: Card, top: int) -> list[str]:
    """The columns of `cells`."""
    return ["labels", "shares", "runs"]


def cells(prediction: Mask, *, card: Card, top: int) -> list[str]:
    """One prediction as cells of a CSV table: labels, shares and runs (numbers separated by blanks) of each class, separated by `;`."""
    found = _shown(prediction, card)[:top]
    return [
        ";".join(each["label"] for each in found),
        ";".join(f"{each['share']:.6f}" for each in found),
        ";".join(" ".join(map(str, each["runs"])) for each in found),
    ]


def target(prediction: Mask, *, card: Card, name: str | None, model: str) -> NoReturn:
    """Raises UserError: an explanation is about one output of an image, a mask has one at each pixel."""
    raise UserError(f"{model} gives masks, which say where it sees what; `neocog predict` shows them")


def _shown(prediction: Mask, card: Card) -> list[dict[str, Any]]:
    """label, share of the pixels, and `runs` of each class: first pixel, counted row by row, and number of pixels in turn."""
    found = likeliest(prediction, card=card, top=len(card["classes"]))
    numbers = {name: label for label, name in enumerate(card["classes"])}
    return [{"label": name, "share": share, "runs": runs_of(prediction, numbers[name])} for name, share in found]
