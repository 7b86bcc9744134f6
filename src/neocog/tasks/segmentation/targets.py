"""Targets of segmentation: a mask for each image with the class of every pixel, uint8 [N, H, W]; IGNORED is neither learned nor judged."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neocog.statistics import Bools, Ints
from neocog.tasks.segmentation import IGNORED, run_lengths
from neocog.tasks.segmentation.run_lengths import Mask

if TYPE_CHECKING:
    import pyarrow

SOURCES = ("fashion_scenes", "digit_scenes", "masks")  # of data.source, that give these targets
COLUMNS = {"mask": "list<int64>"}  # of samples.parquet, by their type in Arrow: run lengths
CONTRADICTION = "other mask: same pixels as {twin}, which has another"
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


def columns(targets: Mask) -> dict[str, list[list[int]]]:
    """What stands of targets [N, H, W] in each of the `COLUMNS`: the run lengths of each mask."""
    return {"mask": [run_lengths.encode(mask) for mask in targets]}


def of(table: "pyarrow.Table", *, classes: int) -> Mask:
    """The targets [N, H, W] that the column of samples.parquet holds."""
    column = table.column("mask").combine_chunks()
    ends, flat = np.from_dlpack(column.offsets), np.from_dlpack(column.values).astype(np.int64)
    return run_lengths.decode(
        [flat[start:end] for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
    )


def counts(targets: Mask, *, classes: int) -> Ints:
    """The number of images that show each class [K], of targets [N, H, W]."""
    return np.bincount([label for shown in present_classes(targets) for label in shown], minlength=classes)


def present_classes(targets: Mask) -> list[tuple[int, ...]]:
    """The classes that each image shows, of targets [N, H, W]."""
    return [tuple(np.flatnonzero(np.bincount(mask.ravel(), minlength=IGNORED)[:IGNORED]).tolist()) for mask in targets]


def without(targets: Mask, dropped: Bools) -> tuple[Mask, Bools]:
    """Targets [N, H, W] whose pixels of the classes that are dropped, bool [K], are ignored; and which images remain [N]: all."""
    numbers = np.full(IGNORED + 1, IGNORED, np.uint8)
    numbers[: len(dropped)] = np.where(dropped, IGNORED, np.cumsum(~dropped) - 1)
    return numbers[targets], np.ones(len(targets), bool)


def strata(targets: Mask, *, classes: Sequence[str]) -> tuple[Ints, Sequence[str]]:
    """The stratum of each image [N], from which `balance: class` draws alike, and the strata's names: its rarest class, or none."""
    rank = np.empty(len(classes), int)
    rank[counts(targets, classes=len(classes)).argsort(kind="stable")] = np.arange(len(classes))
    shown = [min(each, key=lambda label: rank[label], default=len(classes)) for each in present_classes(targets)]
    return np.array(shown, np.int64), (*classes, "nothing")
