"""Predictions as tables for people and for `dvc plots`: per_class.csv, confusion.csv, reliability.csv, groups.csv, group_confusion.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np

from neocog.core import csv_table
from neocog.statistics import Bools, Ints, slices
from neocog.tasks.multilabel.average_precision import Ranking
from neocog.tasks.multilabel.f1 import counts
from neocog.tasks.multilabel.predictions import Predictions

PER_CLASS = ("class", "average_precision", "precision", "recall", "f1", "threshold", "support")
NONE = "no label"


def per_class(path: Path, judged: Predictions, classes: Sequence[str], *, thresholds: Sequence[float]) -> None:
    """The columns `PER_CLASS`: support counts the images with the label; nan where a score is not defined."""
    ranked = Ranking.of(judged.probabilities, judged.targets).average_precision()
    of = counts(judged.targets, judged.given)
    scores = (score.round(6).tolist() for score in (ranked, of.precision(), of.recall(), of.f1()))
    csv_table.write(path, PER_CLASS, zip(classes, *scores, thresholds, of.actual.astype(int), strict=True))


def together(targets: Bools, given: Bools) -> Ints:
    """Images [K + 1, K]: on the diagonal those given a label that they have; elsewhere those with the label of the row given that of the
    column falsely. The last row is of images without a label."""
    has = np.column_stack([targets, ~targets.any(axis=1)]).astype(np.int64)
    cells = has.T @ (given & ~targets)
    labels = np.arange(targets.shape[1])
    cells[labels, labels] = (targets & given).sum(axis=0)
    return np.asarray(cells, np.int64)


def confusion(path: Path, judged: Predictions, classes: Sequence[str]) -> None:
    """actual, predicted, images: the cells of `together` that are not 0, and the diagonal."""
    cells = together(judged.targets, judged.given)
    shown = np.argwhere((cells > 0) | np.eye(*cells.shape, dtype=np.bool_)).tolist()
    names = [*classes, NONE]
    csv_table.write(
        path, ("actual", "predicted", "images"), ((names[a], classes[p], int(cells[a, p])) for a, p in shown)
    )


def reliability(path: Path, judged: Predictions, *, bins: int) -> list[tuple[float, float]]:
    """low, high, images, confidence, accuracy: of all decisions whose probability lies in a bin, number, mean probability, and how often
    the image has the label. Returns the last two columns."""
    says, truth = judged.probabilities.ravel().astype(np.float64), judged.targets.ravel()
    into = np.clip(np.ceil(says * bins).astype(np.int64) - 1, 0, bins - 1)
    rows = [
        (
            *(round(end / bins, 6) for end in (bin, bin + 1)),
            int(own.sum()),
            round(float(says[own].mean()), 6),
            round(float(truth[own].mean()), 6),
        )
        for bin in np.unique(into).tolist()
        for own in [into == bin]
    ]
    csv_table.write(path, ("low", "high", "images", "confidence", "accuracy"), rows)
    return [row[-2:] for row in rows]


def groups(path: Path, judged: Predictions, columns: Mapping[str, Sequence[str | None]]) -> None:
    """column, value, images, subset_accuracy, low, high: the share of each group's images all of whose labels are right, with the 95 %
    interval."""
    found = (astuple(each) for each in slices.slices(judged.correct, columns))
    rows = ([round(v, 6) if isinstance(v, float) else v for v in each] for each in found)
    csv_table.write(path, ("column", "value", "images", "subset_accuracy", "low", "high"), rows)


def group_confusion(
    path: Path, judged: Predictions, classes: Sequence[str], columns: Mapping[str, Sequence[str | None]]
) -> None:
    """column, value, actual, predicted, images: the cells of `together` that are not 0, of each group."""
    rows: list[tuple[object, ...]] = []
    names = [*classes, NONE]
    for column, values in columns.items():
        for value, those in slices.members(values):
            cells = together(judged.targets[those], judged.given[those])
            rows += [(column, value, names[a], classes[p], cells[a, p]) for a, p in np.argwhere(cells).tolist()]
    csv_table.write(path, ("column", "value", "actual", "predicted", "images"), rows)
