"""Confusion matrix of pixels, and the boundaries of classes: counts of each image that add up over a set.

A score comes from the sum over all images, never from a mean of images' scores. Csurka, G., Larlus, D. & Perronnin, F. (2013). What is a
good evaluation measure for semantic segmentation? BMVC (the boundary F).
"""

from functools import reduce

import numpy as np

from neocog.statistics import Floats, Ints, Weights
from neocog.tasks.segmentation import IGNORED
from neocog.tasks.segmentation.run_lengths import Mask

TOLERANCE = 0.0075  # of the diagonal, one pixel at least: how far apart two boundaries may be and be the same
NEAR_GIVEN, GIVEN, NEAR_OWN, OWN = range(4)  # of the last axis of `boundaries`


def num_classes(*masks: Mask) -> int:
    """One more than the highest class in masks [N, H, W]."""
    return max(int(mask.max(initial=0, where=mask != IGNORED)) for mask in masks) + 1


def confusion(outputs: Mask, targets: Mask, *, classes: int) -> Ints:
    """Pixels [N, K, K] of each image: of the class of the row, given that of the column. Ignored pixels do not count."""
    found = np.zeros((len(targets), classes * classes), np.int64)
    for image, (given, own) in enumerate(zip(outputs, targets, strict=True)):
        judged = own != IGNORED
        found[image] = np.bincount(own[judged].astype(np.int64) * classes + given[judged], minlength=classes * classes)
    return found.reshape(-1, classes, classes)


def boundaries(outputs: Mask, targets: Mask, *, classes: int) -> Ints:
    """Boundary pixels [N, K, 4] of each image and class: given near the right boundary, given, right near the given one, and right."""
    found = np.zeros((len(targets), classes, 4), np.int64)
    reach = max(1, round(TOLERANCE * float(np.hypot(*targets.shape[1:]))))
    judged = np.where(targets == IGNORED, np.uint8(IGNORED), outputs)
    for row, given, own in zip(found, judged, targets, strict=True):
        for label in np.union1d(given, own).tolist():
            if label == IGNORED:
                continue
            ours, theirs = _boundary(given == label), _boundary(own == label)
            row[label] = (
                (ours & _widened(theirs, reach)).sum(),
                ours.sum(),
                (theirs & _widened(ours, reach)).sum(),
                theirs.sum(),
            )
    return found


def _boundary(inside: np.ndarray) -> np.ndarray:
    """The pixels of a region bool [H, W] that have a neighbour outside it; the border of the image is none."""
    padded = np.pad(inside, 1, mode="edge")
    return np.asarray(inside & ~(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]))


def _widened(line: np.ndarray, reach: int) -> np.ndarray:
    """bool [H, W] with all pixels up to `reach` rows and columns away."""
    height, width = line.shape
    padded = np.pad(line, reach)
    steps = range(2 * reach + 1)
    across = reduce(np.logical_or, (padded[:, step : step + width] for step in steps))
    return np.asarray(reduce(np.logical_or, (across[step : step + height] for step in steps)))


def summed(counts: Ints, weights: Weights = None) -> Floats:
    """The counts [N, ...] of all images, each counted `weights` [N] times."""
    return np.asarray(counts.sum(axis=0) if weights is None else np.tensordot(weights, counts, axes=1), np.float64)


def iou(cells: Floats) -> Floats:
    """Intersection over union of each class [K] from cells [..., K, K]; NaN of one that neither is there nor is given."""
    hits, own, given = _sides(cells)
    return ratio(hits, own + given - hits)


def dice(cells: Floats) -> Floats:
    """Dice of each class [K], which is the F1 of its pixels; NaN as of `iou`."""
    hits, own, given = _sides(cells)
    return ratio(2 * hits, own + given)


def accuracy(cells: Floats) -> float:
    """The share of pixels that are right; 1 of none."""
    total = float(cells.sum())
    return float(np.trace(cells)) / total if total else 1.0


def boundary_f(lines: Floats) -> Floats:
    """Boundary F of each class [K] from boundary pixels [K, 4]; NaN of one without a boundary."""
    precision, recall = (ratio(lines[:, near], lines[:, near + 1]) for near in (NEAR_GIVEN, NEAR_OWN))
    both = np.nan_to_num(precision) + np.nan_to_num(recall)
    score = ratio(2 * np.nan_to_num(precision) * np.nan_to_num(recall), both)
    there = lines[:, GIVEN] + lines[:, OWN] > 0
    return np.where(there, np.nan_to_num(score), np.nan)


def mean(scores: Floats) -> float:
    """The mean over the classes that have a score; 1 where none has."""
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else 1.0


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole; NaN where that is 0."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan, dtype=np.float64), where=whole > 0)


def _sides(cells: Floats) -> tuple[Floats, Floats, Floats]:
    return np.diagonal(cells, axis1=-2, axis2=-1), cells.sum(axis=-1), cells.sum(axis=-2)
