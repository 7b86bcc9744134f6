"""Robustness to corrupted images (ImageNet-C): the score under each corruption and severity of Hendrycks & Dietterich (2019)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.bundle.read import Bundle
from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.evaluation import predictions
from neocog.evaluation.corruptions.suite import CORRUPTIONS, corrupt
from neocog.tasks.task import Metric, task

CLEAN = "clean"  # in the place of a corruption: the images as they are, severity 0
BUDGET = 256 << 20  # bytes of corrupted images held at a time

Condition = tuple[str, int]  # corruption, severity


@dataclass(frozen=True)
class RobustnessScore:
    """The `score` of a model, by the primary metric of its task, under one corruption of one severity."""

    model: str
    corruption: str
    severity: int
    score: float


def conditions(severities: Sequence[int]) -> list[Condition]:
    """The clean images, then every corruption at each of the severities."""
    return [(CLEAN, 0), *((name, severity) for name in CORRUPTIONS for severity in sorted(set(severities)))]


def count(images: int, *, size: Size, megapixels: float) -> int:
    """How many test images are corrupted: at most `images`, and of `size` pixels at most `megapixels` together; one at least."""
    return max(1, min(images, int(megapixels * 1e6) // prod(size)))


def measure(
    bundles: Sequence[Bundle],
    images: NDArray[np.uint8],
    targets: NDArray[Any],
    *,
    severities: Sequence[int],
    seed: int = 0,
    batch_size: int = 256,
    on_part: Callable[[float], None] = lambda part: None,
) -> list[RobustnessScore]:
    """The score of every bundle on images uint8 [N, H, W, C] under all `conditions`; every bundle is given the same corrupted images.

    `on_part` is told which part of the work has been done since it was told last; in all they are 1.
    """
    found: dict[str, list[RobustnessScore]] = {bundle.model: [] for bundle in bundles}
    wanted = conditions(severities)
    for some, corrupted in _stacks(images, wanted, seed=seed):
        for bundle in bundles:
            outputs = predictions.outputs(bundle, corrupted, batch_size=batch_size)
            primary = task(bundle.task).metrics.primary
            found[bundle.model] += [
                RobustnessScore(bundle.model, *each, primary(part, targets))
                for each, part in zip(some, np.split(outputs, len(some)), strict=True)
            ]
            on_part(len(some) / (len(wanted) * len(bundles)))
    return [row for rows in found.values() for row in rows]


def write(path: Path, rows: Sequence[RobustnessScore], metric: Metric) -> None:
    """model, corruption, severity, and the score under the metric's name."""
    lines = ((row.model, row.corruption, row.severity, round(row.score, 6)) for row in rows)
    csv_table.write(path, ("model", "corruption", "severity", metric.name), lines)


def read(path: Path) -> list[RobustnessScore]:
    """What `write` wrote. Raises UserError if the file is damaged."""
    try:
        return [
            RobustnessScore(model, corruption, int(severity), float(score))
            for model, corruption, severity, score in (line.values() for line in csv_table.read(path))
        ]
    except (TypeError, ValueError) as error:
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
            place[:] = _corrupted(images, *each, seed=seed)
        yield some, stack.reshape(-1, *images.shape[1:])


def _corrupted(images: NDArray[np.uint8], name: str, severity: int, *, seed: int) -> NDArray[np.uint8]:
    return images if name == CLEAN else corrupt(images, name, severity=severity, seed=seed)
