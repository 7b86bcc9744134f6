"""Top-k accuracy, F1 and the confusion matrix, over labels [N] and predictions [N] in numpy.

`weights` [N] says how often each image counts (a bootstrap resample); None counts each once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Bools, Floats, Ints, Weights


def within(k: int, *, scores: NDArray[np.floating], labels: Ints) -> Bools:
    """Is the label among the k highest scores [N, K]? A tie goes to the lower class, as in argmax."""
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    before = np.arange(scores.shape[1]) < labels[:, None]
    rank = ((scores > own) | ((scores == own) & before)).sum(axis=1)
    return np.asarray(rank < k)


def share(hits: Bools, *, weights: Weights = None) -> float:
    """The fraction of images with a hit, 0 to 1."""
    return float(np.average(hits, weights=weights))


def confusion(labels: Ints, predicted: Ints, *, num_classes: int) -> Ints:
    """Counts [K, K]: row = actual class, column = predicted class."""
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


@dataclass(frozen=True)
class ClassCounts:
    """Of each class [K]: images of it (actual), images called it (predicted), and both at once (hits)."""

    actual: Floats
    predicted: Floats
    hits: Floats

    def precision(self) -> Floats:
        """The fraction right among images called this class; NaN when none was."""
        return _ratio(self.hits, self.predicted)

    def recall(self) -> Floats:
        """The fraction found among images of this class; NaN when there are none."""
        return _ratio(self.hits, self.actual)

    def f1(self) -> Floats:
        """Harmonic mean of precision and recall; NaN when the class neither occurs nor is predicted."""
        return _ratio(2 * self.hits, self.actual + self.predicted)


def counts(labels: Ints, predicted: Ints, *, num_classes: int, weights: Weights = None) -> ClassCounts:
    """Count `labels` and `predicted` (class indices [N]) class by class."""
    once = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    hits = once * (labels == predicted)
    return ClassCounts(
        actual=_sums(labels, once, num_classes),
        predicted=_sums(predicted, once, num_classes),
        hits=_sums(labels, hits, num_classes),
    )


def macro_f1(labels: Ints, predicted: Ints, *, num_classes: int, weights: Weights = None) -> float:
    """Mean F1 over the classes that occur or are predicted, each class weighing the same (scikit-learn's default)."""
    return float(np.nanmean(counts(labels, predicted, num_classes=num_classes, weights=weights).f1()))


def _sums(classes: Ints, weights: Floats, num_classes: int) -> Floats:
    return np.asarray(np.bincount(classes, weights, num_classes), np.float64)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
