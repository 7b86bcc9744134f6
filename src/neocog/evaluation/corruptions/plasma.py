"""Plasma fractals (clouds): random heights that look alike at every scale, by the diamond-square algorithm.

Fournier, A., Fussell, D. & Carpenter, L. (1982). Computer rendering of stochastic models. Communications of the ACM 25(6).
"""

import numpy as np
from numpy.typing import NDArray


def plasma(shape: tuple[int, int, int], *, decay: float, draw: np.random.Generator) -> NDArray[np.float32]:
    """Heights [N, H, W], each map a corner of one from 0 to 1 whose sides are a power of two; the lower `decay`, the rougher."""
    n, height, width = shape
    side = max(2, 1 << (max(height, width) - 1).bit_length())
    heights = np.zeros((n, side, side), np.float32)
    step, rough = side, 100.0
    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        beside, below = np.roll(corners, -1, axis=2), np.roll(corners, -1, axis=1)
        middles = _moved(corners + beside + below + np.roll(beside, -1, axis=1), rough, draw)
        heights[:, half::step, half::step] = middles
        heights[:, ::step, half::step] = _moved(corners + beside + middles + np.roll(middles, 1, axis=1), rough, draw)
        heights[:, half::step, ::step] = _moved(corners + below + middles + np.roll(middles, 1, axis=2), rough, draw)
        step, rough = half, rough / decay
    heights -= heights.min(axis=(1, 2), keepdims=True)
    heights /= heights.max(axis=(1, 2), keepdims=True)
    return heights[:, :height, :width]


def _moved(sums: NDArray[np.float32], rough: float, draw: np.random.Generator) -> NDArray[np.float32]:
    """The mean of four neighbors, moved at random by up to the square of `rough`."""
    return sums / 4 + np.float32(rough**2) * (2 * draw.random(sums.shape, np.float32) - 1)
