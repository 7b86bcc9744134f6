"""Paired comparison of two models on the same images. Where an image is right or wrong, only those count that tell the two apart.

A score that is no mean over images, such as mean average precision, is compared by resampling the images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Floats, Ints
from neocog.statistics.intervals import wilson_middle

Difference = Callable[[Ints | None], float]
RESAMPLES = 2000  # of a paired bootstrap: the smallest p-value that it can give is 0.001


@dataclass(frozen=True)
class Paired:
    """What a comparison found: the `difference` of the scores (first minus second), the ends of its 95 % interval, and the p-value."""

    difference: float
    low: float
    high: float
    p_value: float


def compare(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Paired:
    """Compare two models by which images [N] each got right.

    The p-value is McNemar's, two-sided and exact (McNemar 1947; the binomial form): how likely is so uneven a split of the images on
    which they disagree, if neither were better? The interval is Newcombe's, which has a width where they never disagree.
    """
    correct = np.stack([first, second])
    wins = np.array([[0, (first & ~second).sum()], [(~first & second).sum(), 0]], np.int64)
    low, high = newcombe(wins, correct)
    better, worse = int(wins[0, 1]), int(wins[1, 0])
    return Paired((better - worse) / len(first), float(low[0, 1]), float(high[0, 1]), mcnemar(better, worse))


def resampled(difference: Difference, n: int, *, resamples: int = RESAMPLES, seed: int = 0) -> Paired:
    """Compare two models by the `difference` of a score over `n` images, given how often each was drawn [n] (None: once).

    A paired bootstrap: both models are scored on the same resampled images.
    """
    draw = np.random.default_rng(seed)
    again = np.array([difference(np.bincount(draw.integers(n, size=n), minlength=n)) for _ in range(resamples)])
    return from_resamples(difference(None), again)


def from_resamples(found: float, again: Floats) -> Paired:
    """The `found` difference of a score, by the same on resamples of the images [R].

    The interval is the percentile interval, the p-value twice the share of resamples on the other side of 0 (Efron & Tibshirani 1993,
    ch. 13 and 15).
    """
    low, high = np.quantile(again, [0.025, 0.975])
    other = min(int((again <= 0).sum()), int((again >= 0).sum()))
    p_value = min(1.0, 2 * (other + 1) / (len(again) + 1))
    return Paired(float(found), float(min(low, found)), float(max(high, found)), p_value)


def compare_outputs(metrics: Any, first: Any, second: Any, targets: Any) -> Paired:
    """Compare two models by their outputs [N, ...] for the same images, with the `metrics` of their task (`tasks/<task>/metrics.py`).

    McNemar's test where an image is right or wrong, else a paired bootstrap of the primary metric.
    """
    ours, theirs = (metrics.scores(each, targets) for each in (first, second))
    if ours.dtype == bool:
        return compare(ours, theirs)
    better, worse = (metrics.scorer(each, targets) for each in (first, second))
    return resampled(lambda weights: better(weights) - worse(weights), len(targets))


def newcombe(wins: NDArray[np.int64], correct: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The ends [M, M] of the 95 % interval of each difference: Wilson's intervals of both, squared and added, less what they share."""
    n, losses = correct.shape[1], wins.T.astype(float)
    hits = correct.sum(axis=1).astype(float)
    share = hits / n
    middle, width = wilson_middle(hits, n)
    down, up = share - (middle - width), (middle + width) - share  # how far each interval reaches
    both = hits[:, None] - wins
    neither = n - both - wins - losses
    product = both * neither - wins * losses
    product = np.where(product > 0, np.maximum(product - n / 2, 0), product)
    spread = np.sqrt((hits * (n - hits))[:, None] * (hits * (n - hits))[None, :])
    phi = np.divide(product, spread, out=np.zeros(wins.shape), where=spread > 0)
    below = np.sqrt(np.maximum(0, down[:, None] ** 2 - 2 * phi * np.outer(down, up) + up[None, :] ** 2))
    above = np.sqrt(np.maximum(0, up[:, None] ** 2 - 2 * phi * np.outer(up, down) + down[None, :] ** 2))
    difference = (wins - losses) / n
    return np.maximum(difference - below, -1), np.minimum(difference + above, 1)


def mcnemar(wins: int, losses: int) -> float:
    """The two-sided probability that a fair coin, thrown `wins` + `losses` times, falls at least so unevenly."""
    n, fewer = wins + losses, min(wins, losses)
    tail = sum(exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2)) for k in range(fewer + 1))
    return min(1.0, 2 * tail)
