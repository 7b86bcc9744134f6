"""Groups that stay whole: every image of a patient, photograph or camera in one split, classes shared out as evenly as that allows.

Groups are placed one after the other, the largest first, each where its images are missed most: where the sum of squared deviations
from the wanted number of images of each class, as fractions of the class, grows least. Copies of an image bind their groups together.
The outcome depends on the images and their groups alone, not on their order; unlike the split by content, it may change when images
are added.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from neocog.core.errors import UserError


def check_whole(column: str, groups: Sequence[str | None], given: Sequence[str], paths: Sequence[str]) -> None:
    """Raise UserError where the splits that the data themselves name cut a group."""
    first: dict[str, int] = {}
    for i, group in enumerate(groups):
        if group is not None and given[first.setdefault(group, i)] != given[i]:
            raise UserError(
                f"data.split_by (={column!r}): {group!r} is in {given[first[group]]} ({paths[first[group]]}) "
                f"and in {given[i]} ({paths[i]}); mend these splits, or set data.split_by: null"
            )


def assign_groups(
    groups: Sequence[str | None],
    sha256: Sequence[str],
    shown: Sequence[Collection[int]],
    *,
    fractions: Mapping[str, float],
) -> list[str]:
    """The split of each image: one of `fractions`, the same for all of a group. An image without a group is one of its own.

    Every class keeps an image in train; no split stays empty that a group can be spared for.
    """
    units = _units(groups, sha256)
    counts = [_counts(unit, shown) for unit in units]
    total: dict[int, int] = defaultdict(int)
    for count in counts:
        for label, images in count.items():
            total[label] += images
    held = {split: defaultdict[int, int](int) for split in fractions}
    where: list[str] = []

    def cost(split: str, count: Mapping[int, int]) -> float:
        missed = ((n, held[split][label] - fractions[split] * total[label], total[label]) for label, n in count.items())
        return sum(n * (n + 2 * over) / all_of_it**2 for n, over, all_of_it in missed)

    def put(number: int, split: str) -> None:
        if number < len(where):
            for label, images in counts[number].items():
                held[where[number]][label] -= images
            where[number] = split
        else:
            where.append(split)
        for label, images in counts[number].items():
            held[split][label] += images

    for number, count in enumerate(counts):
        put(number, min(fractions, key=lambda split: cost(split, count)))
    for label in sorted(total):
        if not held["train"][label]:
            put(max(number for number, count in enumerate(counts) if label in count), "train")  # the smallest
    for split in fractions:
        if split not in where:
            spare = [
                number
                for number, count in enumerate(counts)
                if where[number] == "train" and all(held["train"][label] > images for label, images in count.items())
            ]
            if spare:
                put(spare[-1], split)
    splits = [""] * len(sha256)
    for unit, split in zip(units, where, strict=True):
        for i in unit:
            splits[i] = split
    return splits


def _units(groups: Sequence[str | None], sha256: Sequence[str]) -> list[list[int]]:
    """The images that must stay together, the largest unit first: those of a group, and those of groups that share an image."""
    parent = np.arange(len(sha256))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[tuple[str, str], int] = {}
    for i, (group, sha) in enumerate(zip(groups, sha256, strict=True)):
        for key in (("image", sha), ("group", group)):
            if key[1] is not None:
                parent[root(i)] = root(first.setdefault((key[0], key[1]), i))
    units: dict[int, list[int]] = defaultdict(list)
    for i in range(len(sha256)):
        units[root(i)].append(i)
    return sorted(units.values(), key=lambda unit: (-len(unit), min(sha256[i] for i in unit)))


def _counts(unit: Sequence[int], shown: Sequence[Collection[int]]) -> dict[int, int]:
    """How many images of a unit show each class; -1 counts them all."""
    count: dict[int, int] = defaultdict(int)
    for i in unit:
        for label in (-1, *shown[i]):
            count[label] += 1
    return dict(sorted(count.items()))
