"""Label thresholds: for each label the probability with the best F1 on the validation images."""

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Bools, Floats
from neocog.tasks.multilabel.average_precision import Ranking

DEFAULT = 0.5  # of a label that no validation image has


def fit(probabilities: NDArray[np.floating], targets: Bools) -> list[float]:
    """The threshold of each label, from probabilities [N, K] and targets [N, K] of images that the model was not trained on.

    It lies halfway between two probabilities that were seen, so that small errors of a runtime change no decision; of equally good ones
    the highest is taken.
    """
    ranking = Ranking.of(probabilities, targets)
    ranked = np.take_along_axis(probabilities.astype(np.float64), ranking.order, axis=0)
    following = np.vstack([ranked[1:], np.zeros((1, ranked.shape[1]))])
    found, passed, total = np.cumsum(ranking.hits, axis=0), np.arange(1, len(ranked) + 1)[:, None], targets.sum(axis=0)
    f1: Floats = np.where(ranking.last == passed - 1, 2 * found / (passed + total), -1)
    best = f1.argmax(axis=0)
    labels = np.arange(ranked.shape[1])
    middle = (ranked[best, labels] + following[best, labels]) / 2
    return [round(float(value), 6) for value in np.where(total > 0, middle, DEFAULT)]


def decide(probabilities: NDArray[np.floating], thresholds: list[float]) -> Bools:
    """Which labels [N, K] are given."""
    return np.asarray(probabilities >= np.array(thresholds, np.float32))
