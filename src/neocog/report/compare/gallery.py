"""Test images on which models differ, as one picture, of which the page cuts what it needs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.data.prepared import Split
from neocog.drawing import images
from neocog.drawing.images import Pixels

EACH = 6  # images on which one is right and the other wrong, wanted of every pair
MOST = 320  # images in all
COLUMNS = 20
BUDGET = 300_000  # bytes


@dataclass(frozen=True)
class Sheet:
    """The images `rows` [S] of the test split as one `picture`, each `side` px wide and high, COLUMNS in a line."""

    rows: NDArray[np.intp]
    picture: str
    side: int


def choose(
    correct: NDArray[np.bool_], wins: NDArray[np.int64], *, each: int = EACH, most: int = MOST
) -> NDArray[np.intp]:
    """Images [S] among which every pair finds up to `each` that only one of the two gets right, if `most` allow it.

    Of models that were `correct` [M, N], pairs that differ on few images choose first, as they have the least choice.
    """
    chosen: list[int] = []
    pairs = [(i, j) for i, j in np.argwhere(wins > 0)]
    for i, j in sorted(pairs, key=lambda pair: wins[pair]):
        only = correct[i] & ~correct[j]
        missing = min(each, int(wins[i, j])) - int(only[chosen].sum())
        if missing > 0:
            only[chosen] = False
            chosen += np.flatnonzero(only)[:missing].tolist()
        if len(chosen) >= most:
            break
    return np.sort(np.array(chosen[:most], dtype=np.intp))


def sheet(test: Split, rows: NDArray[np.intp]) -> Sheet | None:
    """The images on one picture within BUDGET; None without images."""
    if not len(rows):
        return None
    for side in (56, 48, 40, 32, 28, 24):
        small = [images.shrunk(np.asarray(test.images[row]), side=side) for row in rows]
        whole = _together(small)
        picture = images.png(whole)
        if len(picture) <= BUDGET:
            break
    return Sheet(rows, picture, max(small[0].shape[:2]))


def _together(tiles: list[Pixels]) -> Pixels:
    height, width, channels = tiles[0].shape
    lines = -(-len(tiles) // COLUMNS)
    whole = np.zeros((lines * height, COLUMNS * width, channels), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // COLUMNS * height, number % COLUMNS * width
        whole[top : top + height, left : left + width] = tile
    return whole
