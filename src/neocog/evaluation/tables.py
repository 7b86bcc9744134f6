"""Predictions as tables for people and for `dvc plots`: per_class.csv and confusion.csv."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from neocog.evaluation.accuracy import counts
from neocog.evaluation.predictions import Predictions


def per_class(path: Path, judged: Predictions, classes: Sequence[str]) -> None:
    """class, precision, recall, f1, support (images of the class); nan where a score is not defined."""
    of = counts(judged.labels, judged.predicted, num_classes=len(classes))
    scores = (score.round(6).tolist() for score in (of.precision(), of.recall(), of.f1()))
    _write(
        path,
        ("class", "precision", "recall", "f1", "support"),
        zip(classes, *scores, of.actual.astype(int), strict=True),
    )


def confusion(path: Path, judged: Predictions, classes: Sequence[str]) -> None:
    """actual, predicted: names of classes, one row an image, as DVC's template `confusion` wants it."""
    named = ((classes[a], classes[p]) for a, p in zip(judged.labels, judged.predicted, strict=True))
    _write(path, ("actual", "predicted"), named)


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
