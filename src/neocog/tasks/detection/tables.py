"""Predictions as tables for people and for `dvc plots`: per_class.csv, by_size.csv, confusion.csv, errors.csv, groups.csv, and precision by
recall."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neocog.core import csv_table
from neocog.statistics import Ints, slices
from neocog.tasks.detection.average_precision import IOUS, SIZES, Curves, Objects, curves, match, mean_of
from neocog.tasks.detection.errors import ERRORS, error_types
from neocog.tasks.detection.geometry import iou
from neocog.tasks.detection.predictions import FOUND, Predictions

PER_CLASS = ("class", "ap", "ap50", "recall", "objects", "detections")
BACKGROUND = "background"


def per_class(path: Path, judged: Predictions, classes: Sequence[str]) -> None:
    """The columns `PER_CLASS`: average precision, at an IoU of 0.5, largest recall; nan of a class without objects."""
    csv_table.write(path, PER_CLASS, class_rows(judged, classes))


def class_rows(judged: Predictions, classes: Sequence[str]) -> list[tuple[str, float, float, float, int, int]]:
    """The rows of per_class.csv; `detections` counts those from the threshold on."""
    objects = Objects.of(judged.outputs, judged.targets)
    precision, recall = Curves.of(objects, match(objects)).scores()
    present = np.union1d(objects.label, objects.object_label).tolist()
    there = np.bincount(objects.object_label, minlength=len(classes))
    given = np.bincount(objects.label[objects.score >= judged.threshold], minlength=len(classes))
    rows = []
    for label, name in enumerate(classes):
        row = present.index(label) if label in present else None
        scores = (
            [precision[row].mean(), precision[row, 0], recall[row].mean()] if row is not None else [float("nan")] * 3
        )
        ap, ap50, most = (round(float(score), 6) for score in scores)
        rows.append((name, ap, ap50, most, int(there[label]), int(given[label])))
    return rows


def by_size(path: Path, judged: Predictions) -> None:
    """size, from_pixels, to_pixels (areas), objects, ap: average precision of objects of each size; nan where there are none."""
    areas = (judged.targets[..., 2:4] - judged.targets[..., :2]).prod(axis=-1)[judged.targets[..., 4] >= 0]
    rows = []
    for name, (low, high) in list(SIZES.items())[1:]:
        precision, _ = curves(judged.outputs, judged.targets, size=name).scores()
        count = int(((areas >= low) & (areas <= high)).sum())
        rows.append((name, int(low), int(high), count, round(mean_of(precision), 6) if count else "nan"))
    csv_table.write(path, ("size", "from_pixels", "to_pixels", "objects", "ap"), rows)


def together(judged: Predictions, classes: int) -> Ints:
    """Objects [K + 1, K + 1]: of the class of the row for which a detection of the class of the column was given, whatever its class, by an
    IoU of 0.5. The last column are missed objects, the last row detections where there is none."""
    cells = np.zeros((classes + 1, classes + 1), np.int64)
    for answers, targets in zip(judged.answers, judged.targets, strict=True):
        given, own = answers[answers[:, 4] > 0], targets[targets[:, 4] >= 0]
        overlaps = iou(given[:, None, :4], own[None, :, :4])
        taken: set[int] = set()
        for detection, row in zip(given, overlaps, strict=True):
            free = [
                (value, int(own[j, 4] == detection[5]), j)
                for j, value in enumerate(row)
                if j not in taken and value >= FOUND
            ]
            if free:
                _, _, best = max(free, key=lambda each: (each[1], each[0]))
                taken.add(best)
                cells[int(own[best, 4]), int(detection[5])] += 1
            else:
                cells[-1, int(detection[5])] += 1
        for j, target in enumerate(own):
            if j not in taken:
                cells[int(target[4]), -1] += 1
    return cells


def confusion(path: Path, judged: Predictions, classes: Sequence[str]) -> None:
    """actual, predicted, images: the cells of `together` that are not 0, and the diagonal of the classes; `images` counts objects."""
    cells = together(judged, len(classes))
    names = [*classes, BACKGROUND]
    shown = (cells > 0) | np.diag([True] * len(classes) + [False])
    rows = ((names[a], names[p], int(cells[a, p])) for a, p in np.argwhere(shown).tolist())
    csv_table.write(path, ("actual", "predicted", "images"), rows)


def errors(path: Path, judged: Predictions) -> None:
    """error, detections: how many answers are wrong in which way, and how many objects are missed."""
    counts = error_types(judged.answers, judged.targets)
    csv_table.write(path, ("error", "detections"), ((name, counts[name]) for name in ERRORS))


def precision_by_recall(path: Path, judged: Predictions) -> list[tuple[float, float]]:
    """x, y: precision over recall at an IoU of 0.5, all classes in one ranking, at hundredths of recall. Returns them."""
    objects = Objects.of(judged.outputs, judged.targets)
    hit = match(objects, ious=[IOUS[0]]).hit[0][np.argsort(-objects.score, kind="stable")]
    found, total = np.cumsum(hit), max(1, len(objects.object_label))
    precision = np.maximum.accumulate((found / np.arange(1, len(hit) + 1))[::-1])[::-1]
    places = np.searchsorted(found / total, np.linspace(0.01, 1, 100), side="left")
    rows = [
        (round(recall, 2), round(float(precision[place]), 6))
        for recall, place in zip(np.linspace(0.01, 1, 100).tolist(), places, strict=True)
        if place < len(precision)
    ]
    csv_table.write(path, ("x", "y"), rows)
    return rows


def groups(path: Path, judged: Predictions, columns: Mapping[str, Sequence[str | None]]) -> None:
    """column, value, images, map: average precision on each group of images."""
    rows = [
        (column, value, len(those), round(curves(judged.outputs[those], judged.targets[those]).mean(), 6))
        for column, values in columns.items()
        for value, those in slices.members(values)
    ]
    csv_table.write(path, ("column", "value", "images", "map"), rows)
