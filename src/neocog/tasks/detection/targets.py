"""Targets of detection: the boxes of each image with their classes, float32 [N, M, 5].

A row is x1, y1, x2, y2 in pixels of the prepared image, and the class; rows that are no object have the class -1. M is the largest number
of objects of an image, one at least.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Bools, Ints

if TYPE_CHECKING:
    import pyarrow

SOURCES = ("fashion_scenes", "digit_scenes", "voc", "yolo_txt", "coco")  # of data.source, that give these targets
COLUMNS = {"boxes": "list<list<float>>", "labels": "list<int64>"}  # of samples.parquet, by their type in Arrow
CONTRADICTION = "other boxes: same pixels as {twin}, which has others"
NO_OBJECT = -1
UNSUITED = {  # keys of a recipe that do not suit the task, and the value that leaves them out
    "mixup": 0.0,
    "cutmix": 0.0,
    "augment": (),
}
SUGGESTED = {  # of a recipe, for a new project
    "epochs": 12,
    "optimizer": "adamw",
    "lr": 0.002,
    "weight_decay": 0.05,
    "label_smoothing": 0.0,
    "flip": 0.5,
    "crop": 8,
}

Boxes = NDArray[np.float32]


def padded(boxes: Sequence[NDArray[np.floating]]) -> Boxes:
    """Rows [m, 5] of each image as targets [N, M, 5]."""
    found = np.zeros((len(boxes), max([1, *map(len, boxes)]), 5), np.float32)
    found[..., 4] = NO_OBJECT
    for row, own in zip(found, boxes, strict=True):
        row[: len(own)] = own
    return found


def columns(targets: Boxes) -> dict[str, list[list[object]]]:
    """What stands of targets [N, M, 5] in each of the `COLUMNS`: of each image its boxes, and their classes."""
    rows = [row[row[:, 4] >= 0] for row in targets]
    return {
        "boxes": [[[round(float(side), 3) for side in box] for box in own[:, :4]] for own in rows],
        "labels": [own[:, 4].astype(int).tolist() for own in rows],
    }


def of(table: "pyarrow.Table", *, classes: int) -> Boxes:
    """The targets [N, M, 5] that the columns of samples.parquet hold."""
    found = zip(table.column("boxes").to_pylist(), table.column("labels").to_pylist(), strict=True)
    return padded([np.column_stack([np.reshape(boxes, (-1, 4)), labels]).astype(np.float32) for boxes, labels in found])


def counts(targets: Boxes, *, classes: int) -> Ints:
    """The number of images that show each class [K], of targets [N, M, 5]."""
    return np.bincount([label for shown in present_classes(targets) for label in shown], minlength=classes)


def present_classes(targets: Boxes) -> list[tuple[int, ...]]:
    """The classes that each image shows, of targets [N, M, 5]."""
    return [tuple(sorted({int(label) for label in row if label >= 0})) for row in targets[..., 4]]


def without(targets: Boxes, dropped: Bools) -> tuple[Boxes, Bools]:
    """Targets [N, M, 5] without the objects of the classes that are dropped, bool [K]; and which images remain [N]: all."""
    numbers = np.append(np.where(dropped, NO_OBJECT, np.cumsum(~dropped) - 1), NO_OBJECT)
    labels = numbers[targets[..., 4].astype(int)]
    return np.concatenate([targets[..., :4], labels[..., None].astype(np.float32)], axis=-1), np.ones(
        len(targets), bool
    )


def strata(targets: Boxes, *, classes: Sequence[str]) -> tuple[Ints, Sequence[str]]:
    """The stratum of each image [N], from which `balance: class` draws alike, and the strata's names: its rarest class, or none."""
    rank = np.empty(len(classes), int)
    rank[counts(targets, classes=len(classes)).argsort(kind="stable")] = np.arange(len(classes))
    shown = [min(each, key=lambda label: rank[label], default=len(classes)) for each in present_classes(targets)]
    return np.array(shown, np.int64), (*classes, "no object")
