"""Targets of classification: one label an image, int64 [N]."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neocog.statistics import Bools, Ints

if TYPE_CHECKING:
    import pyarrow

SOURCES = (
    "fashion_mnist",
    "digits",
    "folder",
    "table",
    "huggingface",
    "webdataset",
    "idx",
)  # of data.source, that give these targets
COLUMNS = {"label": "int64"}  # of samples.parquet, by their type in Arrow
CONTRADICTION = "two labels: same pixels as {twin}, which lies in another class"


def columns(targets: Ints) -> dict[str, list[int]]:
    """What stands of labels [N] in each of the `COLUMNS`."""
    return {"label": np.asarray(targets, np.int64).tolist()}


def of(table: "pyarrow.Table", *, classes: int) -> Ints:
    """The labels [N] that the columns of samples.parquet hold."""
    return np.array(table.column("label").to_numpy(), np.int64)


def counts(targets: Ints, *, classes: int) -> Ints:
    """The number of images of each class [K], of labels [N]."""
    return np.bincount(np.asarray(targets, np.int64), minlength=classes)


def present_classes(targets: Ints) -> list[tuple[int, ...]]:
    """The classes that each image shows, of labels [N]: one of an image."""
    known = {label: (label,) for label in np.unique(targets).tolist()}  # each tuple once
    return [known[label] for label in np.asarray(targets, np.int64).tolist()]


def without(targets: Ints, dropped: Bools) -> tuple[Ints, Bools]:
    """Labels [M] of the images that remain when some classes are dropped, bool [K], in the numbers of the others; and which remain [N]."""
    remain = ~dropped[targets]
    return (np.cumsum(~dropped) - 1)[targets[remain]], remain


def strata(targets: Ints, *, classes: Sequence[str]) -> tuple[Ints, Sequence[str]]:
    """The stratum of each image [N] from which `balance: class` draws alike, and the names of the strata: the classes."""
    return targets, classes
