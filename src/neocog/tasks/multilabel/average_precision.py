"""Average precision: how well the images of a label are ranked before the others. As scikit-learn's `average_precision_score`.

AP = sum over thresholds of (recall - recall at the next higher threshold) * precision; images of equal score pass a threshold together.
`weights` [N] says how often each image counts (a bootstrap resample); None counts each once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Bools, Floats, Weights


@dataclass(frozen=True)
class Ranking:
    """Images in descending order of score, label by label: sorted once, scored under any weights.

    `order` [N, K]: image at each rank; `hits` [N, K]: whether it has the label; `last` [N, K]: the lowest rank with the same score.
    """

    order: NDArray[np.int64]
    hits: Bools
    last: NDArray[np.int64]

    @classmethod
    def of(cls, scores: NDArray[np.floating], targets: Bools) -> "Ranking":
        """Of scores [N, K] and targets [N, K]."""
        order = np.argsort(-scores, axis=0, kind="stable")
        ranked = np.take_along_axis(scores, order, axis=0)
        ends = np.ones(scores.shape, bool)
        ends[:-1] = ranked[:-1] != ranked[1:]
        places = np.where(ends, np.arange(len(scores))[:, None], len(scores))
        last = np.minimum.accumulate(places[::-1], axis=0)[::-1]
        return cls(order, np.take_along_axis(targets, order, axis=0), last)

    def average_precision(self, weights: Weights = None) -> Floats:
        """The average precision of each label [K]; NaN of a label that no image has."""
        once = np.ones(len(self.order)) if weights is None else weights.astype(np.float64)
        count = once[self.order]
        own = count * self.hits
        found, passed = np.cumsum(own, axis=0), np.cumsum(count, axis=0)
        precision = np.divide(found, passed, out=np.zeros_like(found), where=passed > 0)
        return ratio((own * np.take_along_axis(precision, self.last, axis=0)).sum(axis=0), own.sum(axis=0))

    def mean(self, weights: Weights = None) -> float:
        """Mean average precision over the labels that occur, each weighing the same; 0 where none does."""
        return mean_of(self.average_precision(weights))


def mean_of(scores: Floats) -> float:
    """The mean of scores [K] without those that are NaN; 0 of none."""
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if len(known) else 0.0


def ratio(part: Floats, whole: Floats) -> Floats:
    """`part` / `whole`, NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
