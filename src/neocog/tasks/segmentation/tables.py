"""Masks as tables for people and for `dvc plots`: per_class.csv, by_size.csv, confusion.csv, groups.csv, and images by mean IoU."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from neocog.core import csv_table
from neocog.statistics import slices
from neocog.tasks.segmentation import confusion as pixels
from neocog.tasks.segmentation.metrics import scorer
from neocog.tasks.segmentation.predictions import Predictions

PER_CLASS = ("class", "iou", "dice", "precision", "recall", "boundary_f", "pixels", "images")
SHARES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)  # of an image that a class covers


def per_class(path: Path, judged: Predictions, classes: Sequence[str]) -> None:
    """The columns `PER_CLASS`; nan of a class that is not there."""
    csv_table.write(path, PER_CLASS, class_rows(judged, classes))


def class_rows(
    judged: Predictions, classes: Sequence[str]
) -> list[tuple[str, float, float, float, float, float, int, int]]:
    """The rows of per_class.csv; `pixels` and `images` are those that show the class."""
    each = pixels.confusion(judged.outputs, judged.targets, classes=len(classes))
    cells = pixels.summed(each)
    edges = pixels.summed(pixels.boundaries(judged.outputs, judged.targets, classes=len(classes)))
    hits, own, given = np.diagonal(cells), cells.sum(axis=1), cells.sum(axis=0)
    scores = (pixels.iou(cells), pixels.dice(cells), pixels.ratio(hits, given), pixels.ratio(hits, own))
    columns = [score.round(6).tolist() for score in (*scores, pixels.boundary_f(edges))]
    images = (each.sum(axis=2) > 0).sum(axis=0)
    return list(zip(classes, *columns, own.astype(int).tolist(), images.tolist(), strict=True))


def by_size(path: Path, judged: Predictions) -> None:
    """from_share, to_share, regions, iou: all regions of a class in an image that cover such a share of it, and the mean of their IoU."""
    cells = pixels.confusion(
        judged.outputs, judged.targets, classes=pixels.num_classes(judged.outputs, judged.targets)
    ).astype(np.float64)
    own = cells.sum(axis=2)
    share = own / np.maximum(own.sum(axis=1, keepdims=True), 1)
    found = pixels.iou(cells)
    rows = []
    for low, high in pairwise(SHARES):
        those = (share > low) & (share <= high)
        rows.append((low, high, int(those.sum()), round(float(found[those].mean()), 6) if those.any() else "nan"))
    csv_table.write(path, ("from_share", "to_share", "regions", "iou"), rows)


def confusion(path: Path, judged: Predictions, classes: Sequence[str]) -> None:
    """actual, predicted, images: the cells of the confusion matrix that are not 0, and the diagonal; `images` counts pixels."""
    cells = pixels.confusion(judged.outputs, judged.targets, classes=len(classes)).sum(axis=0)
    shown = np.argwhere((cells > 0) | np.eye(len(classes), dtype=np.bool_)).tolist()
    rows = ((classes[a], classes[p], int(cells[a, p])) for a, p in shown)
    csv_table.write(path, ("actual", "predicted", "images"), rows)


def groups(path: Path, judged: Predictions, columns: Mapping[str, Sequence[str | None]]) -> None:
    """column, value, images, miou: mean IoU on each group of images."""
    rows = [
        (column, value, len(those), round(scorer(judged.outputs[those], judged.targets[those])(None), 6))
        for column, values in columns.items()
        for value, those in slices.members(values)
    ]
    csv_table.write(path, ("column", "value", "images", "miou"), rows)


def images_by_iou(path: Path, judged: Predictions) -> None:
    """x, y: the share of images whose mean IoU is at least x, at every fiftieth."""
    levels = np.linspace(0, 1, 51)
    shares = (judged.scores[:, None] >= levels).mean(axis=0)
    csv_table.write(path, ("x", "y"), zip(levels.round(2).tolist(), shares.round(6).tolist(), strict=True))
