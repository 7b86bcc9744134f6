"""F1, subset accuracy and Hamming loss over targets [N, K] and decisions [N, K].

Named and defined as in scikit-learn. `weights` [N] says how often each image counts; None counts each once.
"""

from dataclasses import dataclass

import numpy as np

from neocog.statistics import Bools, Floats, Weights
from neocog.tasks.multilabel.average_precision import mean_of, ratio


@dataclass(frozen=True)
class LabelCounts:
    """Of each label [K]: images that have it (actual), images it was given to (given), and both at once (hits)."""

    actual: Floats
    given: Floats
    hits: Floats

    def precision(self) -> Floats:
        """The fraction right among images with the label given; NaN when none was."""
        return ratio(self.hits, self.given)

    def recall(self) -> Floats:
        """The fraction found among images that have the label; NaN when none has it."""
        return ratio(self.hits, self.actual)

    def f1(self) -> Floats:
        """Harmonic mean of precision and recall; NaN when the label neither occurs nor is given."""
        return ratio(2 * self.hits, self.actual + self.given)

    def macro_f1(self) -> float:
        """Mean F1 over the labels that occur or are given, each weighing the same."""
        return mean_of(self.f1())

    def micro_f1(self) -> float:
        """F1 over all decisions together; 1 where there is no label at all."""
        whole = float((self.actual + self.given).sum())
        return float(2 * self.hits.sum() / whole) if whole else 1.0


def counts(targets: Bools, given: Bools, weights: Weights = None) -> LabelCounts:
    """Count `targets` and `given` label by label."""
    once = np.ones(len(targets)) if weights is None else weights.astype(np.float64)
    return LabelCounts(once @ targets, once @ given, once @ (targets & given))


def subset_accuracy(targets: Bools, given: Bools, weights: Weights = None) -> float:
    """The fraction of images all of whose labels are right."""
    return float(np.average((targets == given).all(axis=1), weights=weights))


def hamming_loss(targets: Bools, given: Bools, weights: Weights = None) -> float:
    """The fraction of decisions, one for each image and label, that are wrong."""
    return float(np.average((targets != given).mean(axis=1), weights=weights))
