"""Targets of multi-label classification: which labels each image has, bool [N, K]."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neocog.statistics import Bools, Ints

if TYPE_CHECKING:
    import pyarrow

SOURCES = ("digit_grids", "folder")  # of data.source, that give these targets
COLUMNS = {"labels": "list<int64>"}  # of samples.parquet, by their type in Arrow
CONTRADICTION = "other labels: same pixels as {twin}, which has others"


def columns(targets: Bools) -> dict[str, list[list[int]]]:
    """What stands of targets [N, K] in each of the `COLUMNS`: the indices of an image's labels, none for an image without."""
    return {"labels": [np.flatnonzero(row).tolist() for row in np.asarray(targets, bool)]}


def of(table: "pyarrow.Table", *, classes: int) -> Bools:
    """The targets [N, K] that the columns of samples.parquet hold."""
    targets = np.zeros((table.num_rows, classes), bool)
    for row, labels in zip(targets, table.column("labels").to_pylist(), strict=True):
        row[labels] = True
    return targets


def counts(targets: Bools, *, classes: int) -> Ints:
    """The number of images that have each label [K], of targets [N, K]."""
    return np.asarray(targets, bool).reshape(-1, classes).sum(axis=0, dtype=np.int64)


def present_classes(targets: Bools) -> list[tuple[int, ...]]:
    """The labels of each image."""
    return [tuple(labels) for labels in columns(targets)["labels"]]


def without(targets: Bools, dropped: Bools) -> tuple[Bools, Bools]:
    """Targets [N, K'] without the labels that are dropped, bool [K]; and which images remain [N]: all."""
    return targets[:, ~dropped], np.ones(len(targets), bool)


def strata(targets: Bools, *, classes: Sequence[str]) -> tuple[Ints, Sequence[str]]:
    """The stratum of each image [N], from which `balance: class` draws alike, and the strata's names: its rarest label, or none."""
    rarity = counts(targets, classes=len(classes)).argsort(kind="stable")  # labels, the rarest first
    ranked = np.asarray(targets, bool)[:, rarity]
    return np.where(ranked.any(axis=1), rarity[ranked.argmax(axis=1)], len(classes)), (*classes, "no label")
