"""Near duplicates: images of one split that are nearly the same as one of another, in pixel space.

Barz, B. & Denzler, J. (2020). Do we train on test data? Purging CIFAR of near-duplicates. J. Imaging 6(6). arXiv:1902.00423.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

GRID = 8  # parts of a side whose mean values are compared first
BLOCK = 1 << 24  # distances, or pixels, held at a time

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """Image `row` of `split` and the one of an earlier split that is nearest; `distance` is the root mean square difference of their
    pixels, in gray levels of 255."""

    split: str
    row: int
    other: str
    other_row: int
    distance: float


def near_duplicates(splits: Mapping[str, Images], *, within: float) -> list[Pair]:
    """For each image uint8 [N, H, W, C] the nearest one of every earlier split, if it is no farther than `within`; the nearest pairs first.

    Exact: an image is left out only if the means over parts of it already differ by more (the mean of a part's differences is at most their
    root mean square). Beside these means, 64 numbers an image and channel, memory is bounded by BLOCK.
    """
    means = {name: _means(images) for name, images in splits.items()}
    found = [
        Pair(later, row, earlier, other, distance)
        for earlier, later in combinations(splits, 2)
        for row, other, distance in _nearest(
            (splits[later], means[later]), (splits[earlier], means[earlier]), within=within
        )
    ]
    return sorted(found, key=lambda pair: (pair.distance, pair.split, pair.row))


def _means(images: Images) -> NDArray[np.float32]:
    """[N, D]: what is left of each image in GRID x GRID parts, such that no distance grows: sums over the parts / root of their pixels."""
    height, width = images.shape[1:3]
    rows, columns = (np.unique(np.linspace(0, side, GRID + 1).astype(int)[:-1]) for side in (height, width))
    sizes = np.diff(rows, append=height)[:, None] * np.diff(columns, append=width)
    step = max(1, BLOCK // max(1, int(np.prod(images.shape[1:]))))
    parts = []
    for start in range(0, len(images), step):
        sums = np.add.reduceat(images[start : start + step].astype(np.float32), rows, axis=1)
        sums = np.add.reduceat(sums, columns, axis=2) / np.sqrt(sizes, dtype=np.float32)[:, :, None]
        parts.append(sums.reshape(len(sums), -1))
    return np.concatenate(parts) if parts else np.zeros((0, sizes.size * images.shape[3]), np.float32)


def _nearest(
    ours: tuple[Images, NDArray[np.float32]], theirs: tuple[Images, NDArray[np.float32]], *, within: float
) -> Iterator[tuple[int, int, float]]:
    """(row of ours, nearest row of theirs, distance) wherever that is at most `within`."""
    (images, means), (others, other_means) = ours, theirs
    pixels = int(np.prod(images.shape[1:]))
    squares, other_squares = (np.einsum("nd,nd->n", each, each) for each in (means, other_means))
    step = max(1, BLOCK // max(1, len(others)))
    for start in range(0, len(images), step):
        some = slice(start, start + step)
        bounds = squares[some, None] + other_squares - 2 * (means[some] @ other_means.T)
        slack = 1e-5 * (squares[some, None] + other_squares.max(initial=0))  # of float32
        rows, candidates = np.nonzero(bounds <= pixels * within**2 + slack)
        exact = _distances(images, start + rows, others, candidates)
        order = np.lexsort((exact, rows))
        _, firsts = np.unique(rows[order], return_index=True)
        for best in order[firsts]:
            if exact[best] <= within:
                yield start + int(rows[best]), int(candidates[best]), float(exact[best])


def _distances(images: Images, rows: NDArray, others: Images, other_rows: NDArray) -> NDArray[np.float64]:
    """Root mean square differences of pairs of images."""
    pixels = int(np.prod(images.shape[1:]))
    step = max(1, BLOCK // max(1, pixels))
    found = [np.zeros(0)]
    for start in range(0, len(rows), step):
        some = slice(start, start + step)
        difference = images[rows[some]].astype(np.int32) - others[other_rows[some]]
        found.append(np.sqrt((difference.reshape(len(difference), -1) ** 2).sum(axis=1) / pixels))
    return np.concatenate(found)
