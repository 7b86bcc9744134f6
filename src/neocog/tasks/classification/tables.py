"""Predictions as tables for people and for `dvc plots`: per_class.csv, confusion.csv, reliability.csv, groups.csv, group_confusion.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np

from neocog.core import csv_table
from neocog.statistics import slices
from neocog.statistics.slices import Slice
from neocog.tasks.classification import accuracy, calibration
from neocog.tasks.classification.accuracy import counts
from neocog.tasks.classification.predictions import Predictions


def per_class(path: Path, judged: Predictions, classes: Sequence[str]) -> None:
    """class, precision, recall, f1, support (images of the class); nan where a score is not defined."""
    of = counts(judged.labels, judged.predicted, num_classes=len(classes))
    scores = (score.round(6).tolist() for score in (of.precision(), of.recall(), of.f1()))
    csv_table.write(
        path,
        ("class", "precision", "recall", "f1", "support"),
        zip(classes, *scores, of.actual.astype(int), strict=True),
    )


def confusion(path: Path, judged: Predictions, classes: Sequence[str]) -> None:
    """actual, predicted, images: names of classes and how often they met, as the template .dvc/plots/counts.json wants it.

    Without the cells that are 0, which the template fills in, but for the diagonal: each class has a row and a column.
    """
    cells = accuracy.confusion(judged.labels, judged.predicted, num_classes=len(classes))
    shown = np.argwhere((cells > 0) | np.eye(len(classes), dtype=bool)).tolist()
    rows = ((classes[actual], classes[predicted], int(cells[actual, predicted])) for actual, predicted in shown)
    csv_table.write(path, ("actual", "predicted", "images"), rows)


def reliability(path: Path, judged: Predictions, *, bins: int) -> list[tuple[float, float]]:
    """low, high, images, confidence, accuracy: the bins of the reliability diagram that hold images. Returns the last two columns."""
    found = calibration.reliability(judged.confidence.astype(float), judged.predicted == judged.labels, bins=bins)
    csv_table.write(
        path, [field.name for field in fields(calibration.Bin)], ([_plain(v) for v in astuple(each)] for each in found)
    )
    return [(round(each.confidence, 6), round(each.accuracy, 6)) for each in found]


def groups(path: Path, judged: Predictions, columns: Mapping[str, Sequence[str | None]]) -> list[Slice]:
    """column, value, images, top1, low, high: each group of images, with the 95 % interval. Returns them."""
    found = slices.slices(judged.predicted == judged.labels, columns)
    columns_of = ("column", "value", "images", "top1", "low", "high")
    csv_table.write(path, columns_of, ([_plain(v) for v in astuple(each)] for each in found))
    return found


def group_confusion(
    path: Path, judged: Predictions, classes: Sequence[str], columns: Mapping[str, Sequence[str | None]]
) -> None:
    """column, value, actual, predicted, images: the confusion matrix of each group, without the cells that are 0."""
    rows: list[tuple[object, ...]] = []
    for column, values in columns.items():
        for value, those in slices.members(values):
            cells = accuracy.confusion(judged.labels[those], judged.predicted[those], num_classes=len(classes))
            rows += [(column, value, classes[a], classes[p], cells[a, p]) for a, p in np.argwhere(cells).tolist()]
    csv_table.write(path, ("column", "value", "actual", "predicted", "images"), rows)


def _plain(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value
