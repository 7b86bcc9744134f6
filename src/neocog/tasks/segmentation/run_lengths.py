"""Run-length encoding of masks: height, width, then class and number of equal pixels in turn, row by row from the top left. No torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]


def encode(mask: Mask) -> list[int]:
    """A mask uint8 [H, W] as numbers."""
    flat = mask.ravel()
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, len(flat))
    runs = np.stack([flat[ends - 1].astype(np.int64), np.diff(ends, prepend=0)], axis=1)
    return [*mask.shape, *runs.ravel().tolist()]


def decode(rows: Sequence[NDArray[np.int64]]) -> Mask:
    """Masks uint8 [N, H, W], all of one size, from the numbers of each."""
    if not len(rows):
        return np.zeros((0, 1, 1), np.uint8)
    height, width = rows[0][:2].tolist()
    runs = np.concatenate([row[2:] for row in rows]).reshape(-1, 2)
    return np.repeat(runs[:, 0].astype(np.uint8), runs[:, 1]).reshape(len(rows), height, width)


def runs_of(mask: Mask, label: int) -> list[int]:
    """Where a class is in a mask uint8 [H, W]: the first pixel, counted row by row, and the number of pixels of each run in turn."""
    edges = np.flatnonzero(np.diff((mask.ravel() == label).astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return [int(number) for first, end in edges for number in (first, end - first)]
