"""Quality checks: the images that are refused before training, and the messages about them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from neocog.core.errors import UserError
from neocog.data.prepared import SPLITS

ON_BAD = ("quarantine", "stop")
SMALL_CLASSES = ("stop", "drop", "keep")
_NAMED = 20  # refused files, or classes, that an error names one by one
_KEPT = ("test", "val", "train")  # whose copy stays when an image lies in several splits: judging comes first


def duplicates(
    targets: np.ndarray, given: Sequence[str], sha256: Sequence[str], paths: Sequence[str], *, contradiction: str
) -> dict[int, str]:
    """The images to refuse because another has exactly the same pixels: index -> reason.

    Copies with different targets are all refused, since nobody knows which are right: a `contradiction`, of `{twin}`. Copies in several
    splits are kept in one only: test before val before train. Copies with the same targets in one split stay.
    """
    refused = {}
    for copies in _copies(sha256):
        copies.sort(key=lambda i: (_KEPT.index(given[i]), paths[i]))
        first = copies[0]
        differ = {i: None for i in copies if not np.array_equal(targets[i], targets[first])}  # in their order
        if differ:
            for i in copies:
                refused[i] = contradiction.format(twin=paths[first if i in differ else next(iter(differ))])
        else:
            for i in copies:
                if given[i] != given[first]:
                    refused[i] = f"duplicate across splits: same pixels as {paths[first]}, which lies in {given[first]}"
    return refused


def repeated(splits: Sequence[str], sha256: Sequence[str]) -> dict[str, int]:
    """How many images of each split have exactly the pixels of an earlier one. They stay, and are reported."""
    return dict(Counter(splits[i] for copies in _copies(sha256) for i in copies[1:]))


def stop(refused: Sequence[tuple[str, str]]) -> None:
    """The policy `on_bad: stop`: raise UserError naming the refused files, if there are any."""
    if refused:
        rows = [f"  {path}: {reason}" for path, reason in sorted(refused)]
        rest = len(rows) - _NAMED
        raise UserError(
            f"data.on_bad (='stop'): {len(rows)} files are refused, so nothing was written\n"
            + "\n".join(rows[:_NAMED])
            + (f"\n  ... and {rest} more" if rest > 0 else "")
            + "\nMend or remove them, or set data.on_bad: quarantine to go on without them"
        )


def small_classes(
    counts: np.ndarray, classes: Sequence[str], *, policy: str, min_images: int
) -> tuple[np.ndarray, list[str]]:
    """Which classes are dropped, bool [K], by their numbers of images [K], and the note on those of fewer than `min_images`.

    `keep` drops none. Raises UserError for `stop`, unless they have no image at all, which `check_present` says.
    """
    small = counts < min_images
    dropped = small if policy == "drop" else np.zeros_like(small)
    few = small if policy == "drop" else small & (counts > 0)
    if not few.any():
        return dropped, []
    named = [f"{name} ({count})" for name, count, its in zip(classes, counts, few, strict=True) if its]
    some = ", ".join(named[:_NAMED]) + (f" and {len(named) - _NAMED} more" if len(named) > _NAMED else "")
    if policy == "stop":
        raise UserError(
            f"data.min_images (={min_images}): {len(named)} of {len(classes)} classes have fewer images: {some}; add images, "
            "or set data.small_classes: drop to leave these classes out, keep to train on them as they are"
        )
    done = "left out" if policy == "drop" else "kept"
    return dropped, [
        f"{len(named)} of {len(classes)} classes have fewer than {min_images} images and are {done}: {some}"
    ]


def check_any(total: np.ndarray, classes: Sequence[str], refused: Sequence[tuple[str, str]]) -> None:
    """Raise UserError for fewer than two classes, and for no image at all, by the number of images of each class [K]."""
    if not total.any():
        remedy = "mend them" if refused else "name a folder that holds images"
        raise UserError(f"data.root: no readable image{_first(refused)}; {remedy}")
    if len(classes) < 2:
        raise UserError(
            f"data.root: only one class ({', '.join(classes)}); there is nothing to tell apart, add another"
        )


def check_present(total: np.ndarray, classes: Sequence[str], refused: Sequence[tuple[str, str]]) -> None:
    """Raise UserError for what `check_any` refuses, and for a class without an image."""
    check_any(total, classes, refused)
    absent = [name for name, count in zip(classes, total, strict=True) if count == 0]
    if absent:
        theirs = set(absent)
        own = [(path, reason) for path, reason in refused if not theirs.isdisjoint(path.split("/")[:-1])]
        folder = "its folder, or remove it" if len(absent) == 1 else "their folders, or remove them"
        raise UserError(
            f"{_have(absent)} no readable image{_first(own)}; add images to {folder}, or set data.small_classes: drop"
        )


def check_classes(
    counts: Mapping[str, np.ndarray],
    images: Mapping[str, int],
    classes: Sequence[str],
    refused: Sequence[tuple[str, str]],
    *,
    enough: Callable[[str], float | None] = lambda split: None,
) -> list[str]:
    """Refuse what cannot be learnt or judged; return the notes on what can, but poorly.

    `counts` are those of each class [K], by split, and `images` the number of images of each split.
    `enough` tells with which fraction a split that is cut out of train would not be empty.
    Raises UserError for: fewer than two classes, a class without an image or without one to train on, an empty split.
    """
    total = sum(counts[split] for split in SPLITS)
    check_present(np.asarray(total), classes, refused)
    untrained = counts["train"] == 0
    if untrained.any():
        names = [name for name, missing in zip(classes, untrained, strict=True) if missing]
        raise UserError(
            f"{_have(names)} {np.asarray(total)[untrained].sum()} images and none of them is in train; "
            "add images of it to the folder train, or remove it from the others"
        )
    for split in ("val", "test"):
        if not images[split]:
            fraction = enough(split)
            setting = f"set data.{split}_fraction: {fraction}" if fraction else ""
            raise UserError(
                f"no image is in {split}; {', '.join(filter(None, ('add images', setting)))}, or give the folder {split}/"
            )
    return [
        f"{len(absent)} of {len(classes)} classes have no image in {split}: {', '.join(absent[:5])}"
        + (" ..." if len(absent) > 5 else "")
        for split in ("val", "test")
        if (absent := [name for name, count in zip(classes, counts[split], strict=True) if count == 0])
    ]


def _have(classes: Sequence[str]) -> str:
    if len(classes) == 1:
        return f"class {classes[0]!r} has"
    rest = len(classes) - _NAMED
    return f"classes {', '.join(map(repr, classes[:_NAMED]))}" + (f" and {rest} more" if rest > 0 else "") + " have"


def _first(refused: Sequence[tuple[str, str]]) -> str:
    return f" ({len(refused)} were refused, the first is {refused[0][0]}: {refused[0][1]})" if refused else ""


def _copies(sha256: Sequence[str]) -> list[list[int]]:
    """The indices of equal hashes, of those that are there more than once."""
    keys = np.fromiter(map(hash, sha256), np.int64, len(sha256))
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    places: dict[str, list[int]] = defaultdict(list)
    for i in np.unique(order[np.concatenate([same, same + 1])]).tolist():
        places[sha256[i]].append(i)
    return [copies for copies in places.values() if len(copies) > 1]
