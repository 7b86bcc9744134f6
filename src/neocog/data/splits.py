"""Which images are for training, for choosing and for judging: decided by each image's own content.

An image's place is its content hash read as a number in 0..1: the low end is test, the high end is val, the rest is
train. So every class is cut in the same proportions (up to chance), equal images land in the same split, adding or
removing images moves none of the others, and neither does a change of file names, of size or of the other fraction.
"""

import hashlib
from collections.abc import Collection, Sequence

import numpy as np

from neocog.errors import UserError


def content_hash(pixels: np.ndarray) -> str:
    """The sha256 of uint8 [H, W] or [H, W, 3] and its shape, so that 2 x 8 and 4 x 4 differ."""
    return hashlib.sha256(f"{'x'.join(map(str, pixels.shape))}:".encode() + pixels.tobytes()).hexdigest()


def position(sha256: str) -> float:
    """The place of a content hash in 0..1 (its first 52 bits)."""
    return int(sha256[:13], 16) / 16**13


def assign(
    given: Sequence[str],
    sha256: Sequence[str],
    *,
    carved: Collection[str],
    val_fraction: float,
    test_fraction: float,
) -> list[str]:
    """The split of each image: `given`, except that the splits in `carved` are cut out of `train`.

    Both fractions are shares of what `train` holds before anything is cut out of it. Raises UserError when they leave
    nothing to train on.
    """
    test = test_fraction if "test" in carved else 0.0
    val = val_fraction if "val" in carved else 0.0
    if val + test >= 1:
        raise UserError(
            f"data.val_fraction (={val_fraction}) and data.test_fraction (={test_fraction}) leave nothing to train on; "
            "together they must stay below 1"
        )

    def cut(sha256: str) -> str:
        place = position(sha256)
        return "test" if place < test else "val" if place >= 1 - val else "train"

    return [cut(sha) if split == "train" else split for split, sha in zip(given, sha256, strict=True)]
