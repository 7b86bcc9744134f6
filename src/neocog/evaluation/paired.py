"""Is one model better than another? Asked on the same images, of which only those count that one gets right and the other wrong."""

from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Paired:
    """What `compare` found. `difference` of top-1 (first minus second), the ends of its 95 % interval, and the p-value."""

    difference: float
    low: float
    high: float
    p_value: float


def compare(first: NDArray[np.bool_], second: NDArray[np.bool_], *, resamples: int = 10_000, seed: int = 0) -> Paired:
    """Compare two models by which images [N] each got right.

    The p-value is McNemar's, two-sided and exact (McNemar 1947; the binomial form): how likely is so uneven a split of the images on
    which they disagree, if neither were better? The interval is the bootstrap's over the images.
    """
    wins, losses, n = int((first & ~second).sum()), int((~first & second).sum()), len(first)
    draws = np.random.default_rng(seed).multinomial(n, [wins / n, losses / n, (n - wins - losses) / n], size=resamples)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / n, [0.025, 0.975])
    return Paired((wins - losses) / n, float(low), float(high), mcnemar(wins, losses))


def differ(first: NDArray[np.bool_], second: NDArray[np.bool_], *, level: float = 0.05) -> bool:
    """Whether two models that got these images [N] right differ by more than chance (McNemar's test)."""
    return mcnemar(int((first & ~second).sum()), int((~first & second).sum())) < level


def mcnemar(wins: int, losses: int) -> float:
    """The two-sided probability that a fair coin, thrown `wins` + `losses` times, falls at least so unevenly."""
    n, fewer = wins + losses, min(wins, losses)
    tail = sum(exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2)) for k in range(fewer + 1))
    return min(1.0, 2 * tail)
