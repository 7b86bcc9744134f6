"""How far could chance alone have moved a score? Bootstrap intervals by resampling the test images."""

from collections.abc import Callable

import numpy as np

from neocog.evaluation.accuracy import Floats, Ints

Statistic = Callable[[Ints], Floats]


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
