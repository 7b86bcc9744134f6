"""Grids of handwritten digits: real digits of scikit-learn, up to four on one image, whose labels are the digits it shows.

A composed set, for trying the task offline: its images are 2 x 2 cells of 8 x 8 pixels, each empty or one of the 1,797 digits. The digits
are shared out among train, val and test before they are composed, so no digit of a test image is seen in training.
"""

import hashlib
from pathlib import Path

import numpy as np

from neocog.core.image_size import Size
from neocog.data.sources.digits import digits
from neocog.data.sources.source import Source, packed
from neocog.data.splits import assign

GRIDS = {"train": 4000, "val": 500, "test": 1000}
FILLED = 0.6  # chance of a cell to hold a digit
SHARE = 0.15  # of the digits for val, and for test


def read(root: Path, *, size: Size | None = None, channels: int | None = None, **_: object) -> Source:
    """Gray images 16 x 16, the same on every machine; nothing is read from `root`."""
    single = digits()
    splits = np.array(
        assign(single.given, single.sha256, carved=("val", "test"), val_fraction=SHARE, test_fraction=SHARE)
    )
    pixels, targets, given = [], [], []
    for number, (split, count) in enumerate(GRIDS.items()):
        grids, shown = _composed(single, np.flatnonzero(splits == split), count, np.random.default_rng(number))
        pixels.append(grids)
        targets.append(shown)
        given += [split] * count
    every = np.concatenate(pixels)
    return packed(
        "digit_grids",
        every,
        np.concatenate(targets),
        classes=single.classes,
        given=given,
        carved=(),
        paths=[f"{split}/{i}" for split, count in GRIDS.items() for i in range(count)],
        digest=hashlib.sha256(every.tobytes()).hexdigest(),
        size=size,
        channels=channels,
    )


def _composed(
    single: Source, rows: np.ndarray, count: int, chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`count` images uint8 [count, 16, 16] of the digits in `rows`, and which digits each shows, bool [count, 10]."""
    cells = rows[chance.integers(len(rows), size=(count, 4))]
    filled = chance.random((count, 4)) < FILLED
    filled[~filled.any(axis=1), 0] = True  # empty images would all be copies of one
    tiles = np.where(filled[..., None, None], single.images[cells][..., 0], 0).reshape(count, 2, 2, 8, 8)
    shown = np.zeros((count, len(single.classes)), bool)
    image, cell = np.nonzero(filled)
    shown[image, single.targets[cells[image, cell]]] = True
    return tiles.transpose(0, 1, 3, 2, 4).reshape(count, 16, 16).astype(np.uint8), shown
