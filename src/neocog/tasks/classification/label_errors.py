"""Confident learning: images that a model surely takes for another class than their label says.

The probabilities must come from a model that was not trained on these images. Northcutt, C. G., Jiang, L. & Chuang, I. L. (2021).
Confident learning: estimating uncertainty in dataset labels. JAIR 70. arXiv:1911.00068.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Floats, Ints
from neocog.tasks.classification.accuracy import confusion


@dataclass(frozen=True)
class Suspect:
    """Image `row`, labelled `label`, which seems to be a `suggested`; `margin` is p(label) - p(suggested), the lower, the surer."""

    row: int
    label: int
    suggested: int
    margin: float


def thresholds(probabilities: NDArray[np.floating], labels: Ints) -> Floats:
    """How sure one must be of each class [K] to count on it: as sure as of the images labelled so, on average; inf for none."""
    classes = probabilities.shape[1]
    images = np.bincount(labels, minlength=classes)
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    sums = np.bincount(labels, own, classes)
    return np.divide(sums, images, out=np.full(classes, np.inf), where=images > 0)


def confident(probabilities: NDArray[np.floating], labels: Ints) -> Ints:
    """The class [N] that each image surely has: the likeliest of those whose threshold it reaches; -1 if it reaches none."""
    reached = np.where(probabilities >= thresholds(probabilities, labels), probabilities, -1.0)
    return np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)


def joint(probabilities: NDArray[np.floating], labels: Ints) -> Floats:
    """The estimated share of all images [K, K] for each label (row) and true class (column); sums to 1.

    The confident counts, each row brought to the number of images with that label; where none is confident, labels are believed.
    """
    classes = probabilities.shape[1]
    true = confident(probabilities, labels)
    sure = true >= 0
    counted = confusion(labels[sure], true[sure], num_classes=classes).astype(np.float64)
    empty = counted.sum(axis=1) == 0
    counted[empty, empty] = 1
    images = np.bincount(labels, minlength=classes)
    return counted / counted.sum(axis=1, keepdims=True) * (images / len(labels))[:, None]


def noise(probabilities: NDArray[np.floating], labels: Ints) -> float:
    """The estimated share of wrong labels."""
    return float(1 - np.trace(joint(probabilities, labels)))


def suspects(probabilities: NDArray[np.floating], labels: Ints) -> list[Suspect]:
    """Images [N] that surely are of another class than their label, by probabilities [N, K]; the likeliest errors first."""
    true = confident(probabilities, labels)
    rows = np.flatnonzero((true >= 0) & (true != labels))
    margins = probabilities[rows, labels[rows]] - probabilities[rows, true[rows]]
    order = np.argsort(margins, kind="stable")
    return [
        Suspect(int(row), int(labels[row]), int(true[row]), float(margin))
        for row, margin in zip(rows[order], margins[order], strict=True)
    ]
