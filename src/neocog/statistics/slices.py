"""Slices: the accuracy of each group of images, the worst group, and the gap to the best.

A group is a value of a column that came with the images (`data.groups`), a class, or both: a cell.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neocog.statistics import Bools
from neocog.statistics.intervals import Gap, newcombe, wilson

FEW = 10  # images below which a group is not called the worst


@dataclass(frozen=True)
class Slice:
    """The images whose `column` has a `value`: how many, and which share of them is right (`score`), with its 95 % interval."""

    column: str
    value: str
    images: int
    score: float
    low: float
    high: float

    @property
    def hits(self) -> int:
        """How many of its images are right."""
        return round(self.score * self.images)


def slices(correct: Bools, columns: Mapping[str, Sequence[str | None]]) -> list[Slice]:
    """Every group of every column, by column and value; images [N] that have none belong to no group."""
    return [
        Slice(column, value, len(hits), float(hits.mean()), *wilson(int(hits.sum()), len(hits)))
        for column, values in columns.items()
        for value, those in members(values)
        for hits in [correct[those]]
    ]


def members(values: Sequence[str | None]) -> Iterator[tuple[str, Bools]]:
    """Each value of a column, sorted, and which images [N] have it; those with none belong to none."""
    given = np.array([value if value is not None else "" for value in values])
    for value in sorted(set(given[given != ""])):
        yield str(value), given == value


def crossed(names: Sequence[str], columns: Mapping[str, Sequence[str | None]]) -> dict[str, list[str | None]]:
    """The cells of each column with the names of the classes of images [N]: columns `class x camera` of `Coat, left`."""
    return {
        f"class x {column}": [
            None if value in (None, "") else f"{name}, {value}" for name, value in zip(names, values, strict=True)
        ]
        for column, values in columns.items()
    }


def ahead(best: Slice, worst: Slice) -> Gap:
    """By how much the score of one group is above that of another."""
    return newcombe(best.hits, best.images, worst.hits, worst.images)


def extremes(found: Sequence[Slice], column: str) -> tuple[Slice, Slice] | None:
    """The worst and the best group of a column among those with enough images; None with fewer than two of them."""
    enough = sorted((each for each in found if each.column == column and each.images >= FEW), key=lambda s: s.score)
    return (enough[0], enough[-1]) if len(enough) > 1 else None
