"""Confidence intervals of a score, 95 %.

Of a share such as top-1 they are Wilson's (1927), which hold for few images and have a width where every image is right; of differences
those that Newcombe makes of two of them (1998, Interval estimation for the difference between independent proportions, Statistics in
Medicine 17, 873-890, method 10). Of what is no share, F1 and the calibration error, they are found by resampling the test images.
"""

from collections.abc import Callable
from math import hypot
from typing import Any

import numpy as np

from neocog.statistics import Floats, Ints

Statistic = Callable[[Ints], Floats]
Z = 1.959964  # of a 95 % interval
Gap = tuple[float, float, float]  # a difference of two shares, and the ends of its 95 % interval


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The ends of the 95 % interval of a share of which `hits` of `n` were seen."""
    middle, width = wilson_middle(hits, n)
    return max(0.0, float(middle - width)), min(1.0, float(middle + width))


def wilson_middle(hits: Any, n: int) -> tuple[Any, Any]:
    """The middle of that interval and half its width, also of many shares at once."""
    return (hits + Z**2 / 2) / (n + Z**2), Z / (n + Z**2) * np.sqrt(hits * (n - hits) / n + Z**2 / 4)


def newcombe(hits: int, n: int, fewer: int, of: int) -> Gap:
    """By how much the share `hits` / `n` is larger than `fewer` / `of`, seen on other images."""
    (low, high), (other_low, other_high) = wilson(hits, n), wilson(fewer, of)
    share, other = hits / n, fewer / of
    gap = share - other
    return gap, gap - hypot(share - low, other_high - other), gap + hypot(high - share, other - other_low)


def bootstrap(statistic: Statistic, n: int, *, resamples: int, seed: int, level: float = 0.95) -> tuple[Floats, Floats]:
    """The lower and upper ends [S] of the interval of S fractions over `n` images, which hold `level` of the resamples.

    `statistic` maps how often each image was drawn [n] to the fractions [S]. It is the percentile interval (Efron &
    Tibshirani 1993, ch. 13), moved by the bias of the resamples. That is nothing for a share such as top-1, but the
    binned calibration error of a resample is too large on average, since the noise it adds to a bin never cancels, and
    the plain interval may miss the score itself.
    """
    draw = np.random.default_rng(seed)
    once = statistic(np.ones(n, np.int64))
    again = np.stack([statistic(np.bincount(draw.integers(n, size=n), minlength=n)) for _ in range(resamples)])
    again -= again.mean(axis=0) - once
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.clip(np.minimum(low, once), 0, 1), np.clip(np.maximum(high, once), 0, 1)
