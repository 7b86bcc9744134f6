"""Train, validation and test splits, decided by each image's own content.

An image's place is its content hash read as a number in 0..1: the low end is test, the high end is val, the rest is
train. So every class is cut in the same proportions (up to chance), equal images land in the same split, adding or
removing images moves none of the others, and neither does a change of file names, of size or of the other fraction.

One exception: a class none of whose images would be in train keeps one there, the nearest to train's part. It is only in
such a class that an image may move when others of it are added or removed.
"""

from collections.abc import Collection, Sequence
from math import floor
from typing import NotRequired, TypedDict, Unpack

from neocog.core.errors import UserError
from neocog.data.group_splits import assign_groups


class Carving(TypedDict):
    """Which splits are cut out of train, and their shares of it; with `groups`, of which images each group stays whole."""

    carved: Collection[str]
    val_fraction: float
    test_fraction: float
    groups: NotRequired[Sequence[str | None] | None]


def position(sha256: str) -> float:
    """The position of a content hash in 0..1 (its first 52 bits)."""
    return int(sha256[:13], 16) / 16**13


def assign(
    given: Sequence[str],
    sha256: Sequence[str],
    *,
    carved: Collection[str],
    val_fraction: float,
    test_fraction: float,
    shown: Sequence[Collection[int]] | None = None,
    groups: Sequence[str | None] | None = None,
) -> list[str]:
    """The split of each image: `given`, except that the splits in `carved` are cut out of `train`.

    Both fractions are shares of what `train` holds before anything is cut out of it; of each class in `shown`, those of
    each image, that has images there, one stays. Images of one of the `groups` are cut out together (group_splits.py).
    Raises UserError when the fractions leave nothing to train on.
    """
    test = test_fraction if "test" in carved else 0.0
    val = val_fraction if "val" in carved else 0.0
    if val + test >= 1:
        raise UserError(
            f"data.val_fraction (={val_fraction}) and data.test_fraction (={test_fraction}) leave nothing to train on; "
            "together they must stay below 1"
        )

    if groups is not None:
        of_train = [i for i, split in enumerate(given) if split == "train"]
        whole = assign_groups(
            [groups[i] for i in of_train],
            [sha256[i] for i in of_train],
            [shown[i] if shown is not None else () for i in of_train],
            fractions={"train": 1 - val - test} | {split: {"val": val, "test": test}[split] for split in carved},
        )
        placed = dict(zip(of_train, whole, strict=True))
        return [placed.get(i, split) for i, split in enumerate(given)]

    def cut(sha256: str) -> str:
        place = position(sha256)
        return "test" if place < test else "val" if place >= 1 - val else "train"

    splits = [cut(sha) if split == "train" else split for split, sha in zip(given, sha256, strict=True)]
    if shown is not None:
        trained = {label for labels, split in zip(shown, splits, strict=True) if split == "train" for label in labels}
        kept: dict[int, tuple[float, str]] = {}  # of each other class: distance from train's part, and hash
        for labels, split, sha in zip(shown, given, sha256, strict=True):
            for label in labels if split == "train" else ():
                if label not in trained:
                    place = position(sha)
                    away = test - place if place < test else place - (1 - val)
                    kept[label] = min(kept.get(label, (away, sha)), (away, sha))
        for i, (labels, split) in enumerate(zip(shown, given, strict=True)):
            if split == "train" and any(kept[label][1] == sha256[i] for label in labels if label in kept):
                splits[i] = "train"  # with its copies
    return splits


def enough(
    split: str,
    given: Sequence[str],
    sha256: Sequence[str],
    *,
    shown: Sequence[Collection[int]],
    **carving: Unpack[Carving],
) -> float | None:
    """The smallest fraction, in hundredths, with which the empty `val` or `test` gets an image, if there is one."""
    if split not in carving["carved"]:
        return None
    fractions = {"val": carving["val_fraction"], "test": carving["test_fraction"]}
    rest = sum(fractions[other] for other in carving["carved"] if other != split)
    for hundredths in range(floor(fractions[split] * 100) + 1, 100):
        fractions[split] = hundredths / 100
        if rest + fractions[split] >= 1:
            break
        cut = assign(
            given,
            sha256,
            carved=carving["carved"],
            val_fraction=fractions["val"],
            test_fraction=fractions["test"],
            shown=shown,
            groups=carving.get("groups"),
        )
        if split in cut:
            return fractions[split]
    return None
