"""Robustness to corrupted images (ImageNet-C): top-1 under each corruption and severity of Hendrycks & Dietterich (2019)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.bundle.read import Bundle
from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.evaluation import predictions
from neocog.evaluation.corruptions.suite import CORRUPTIONS, corrupt
from neocog.statistics.arrays import Ints

CLEAN = "clean"  # in the place of a corruption: the images as they are, severity 0
BUDGET = 256 << 20  # bytes of corrupted images held at a time

Condition = tuple[str, int]  # corruption, severity


@dataclass(frozen=True)
class Row:
    """The share of images that a model gets right under one corruption of one severity."""

    model: str
    corruption: str
    severity: int
    top1: float


def conditions(severities: Sequence[int]) -> list[Condition]:
    """The clean images, then every corruption at each of the severities."""
    return [(CLEAN, 0), *((name, severity) for name in CORRUPTIONS for severity in sorted(set(severities)))]


def count(images: int, *, size: int, megapixels: float) -> int:
    """How many test images are corrupted: at most `images`, and of `size` x `size` pixels at most `megapixels` together; one at least."""
    return max(1, min(images, int(megapixels * 1e6) // size**2))


def measure(
    bundles: Sequence[Bundle],
    images: NDArray[np.uint8],
    labels: Ints,
    *,
    severities: Sequence[int],
    seed: int = 0,
    batch_size: int = 256,
    on_part: Callable[[float], None] = lambda part: None,
) -> list[Row]:
    """Top-1 of every bundle on images uint8 [N, H, W, C] under all `conditions`; every bundle is given the same corrupted images.

    `on_part` is told which part of the work has been done since it was told last; in all they are 1.
    """
    found: dict[str, list[Row]] = {bundle.model: [] for bundle in bundles}
    wanted = conditions(severities)
    for some, spoilt in _stacks(images, wanted, seed=seed):
        for bundle in bundles:
            answers = predictions.logits(bundle, spoilt, batch_size=batch_size).argmax(axis=1)
            right = (answers.reshape(len(some), -1) == labels).mean(axis=1)
            found[bundle.model] += [
                Row(bundle.model, *each, float(hits)) for each, hits in zip(some, right, strict=True)
            ]
            on_part(len(some) / (len(wanted) * len(bundles)))
    return [row for rows in found.values() for row in rows]


def write(path: Path, rows: Sequence[Row]) -> None:
    """model, corruption, severity, top1."""
    rounded = (astuple(replace(row, top1=round(row.top1, 6))) for row in rows)
    csv_table.write(path, [field.name for field in fields(Row)], rounded)


def read(path: Path) -> list[Row]:
    """What `write` wrote. Raises UserError if the file is damaged."""
    try:
        return [
            Row(line["model"], line["corruption"], int(line["severity"]), float(line["top1"]))
            for line in csv_table.read(path)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); `dvc repro --force robustness` makes it again") from None


def _stacks(
    images: NDArray[np.uint8], wanted: Sequence[Condition], *, seed: int
) -> Iterator[tuple[Sequence[Condition], NDArray[np.uint8]]]:
    """As many conditions at a time as the budget allows, their images one after another: to open a model takes longer than to ask it."""
    step = max(1, BUDGET // max(1, images.nbytes))
    for start in range(0, len(wanted), step):
        some = wanted[start : start + step]
        stack = np.empty((len(some), *images.shape), np.uint8)
        for place, each in zip(stack, some, strict=True):
            place[:] = _spoilt(images, *each, seed=seed)
        yield some, stack.reshape(-1, *images.shape[1:])


def _spoilt(images: NDArray[np.uint8], name: str, severity: int, *, seed: int) -> NDArray[np.uint8]:
    return images if name == CLEAN else corrupt(images, name, severity=severity, seed=seed)
