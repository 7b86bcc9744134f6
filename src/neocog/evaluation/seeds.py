"""Several seeds: the scores of the same architecture trained with each, their mean and standard deviation.

A bundle trained with `seeds: 3` holds the networks of the further seeds as bundles of their own, in seeds/<seed>/.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from neocog.bundle import read
from neocog.bundle.read import Bundle
from neocog.core import csv_table
from neocog.data.prepared import Split
from neocog.evaluation import predictions
from neocog.tasks.task import Metric, task


@dataclass(frozen=True)
class SeedScores:
    """The scores, by name, of the network trained with `seed`."""

    seed: int
    scores: Mapping[str, float]


def further(bundle: Bundle) -> dict[int, Bundle]:
    """The networks of the further seeds, in their order; empty if it was trained once."""
    folders = {int(each.name): each for each in (bundle.folder / read.SEEDS).glob("*") if each.name.isdigit()}
    return {seed: read.read(folders[seed]) for seed in sorted(folders)}


def judge(
    bundle: Bundle, outputs: NDArray[np.floating], part: Split, *, bins: int, batch_size: int
) -> list[SeedScores]:
    """The scores of each seed on the images of `part`: of `bundle` itself, which gave the `outputs` [N, ...], and of the further ones."""
    answers = {int(bundle.card["provenance"]["seed"]): outputs}
    for seed, other in further(bundle).items():
        answers[seed] = predictions.outputs(other, part.images, batch_size=batch_size)
    metrics, rows = task(bundle.task).metrics, []
    for seed, given in answers.items():
        scores = metrics.numbers(given, part.targets, bins=bins)
        rows.append(SeedScores(seed, {name: round(score, 6) for name, score in scores.items()}))
    return rows


def summary(rows: Sequence[SeedScores], metric: Metric) -> dict[str, float]:
    """`<metric>_mean` and `<metric>_std`, the sample's standard deviation; empty for a single seed, which has no spread."""
    found = [row.scores[metric.name] for row in rows]
    if len(found) < 2:
        return {}
    return {f"{metric.name}_mean": round(mean(found), 6), f"{metric.name}_std": round(stdev(found), 6)}


def write(path: Path, rows: Sequence[SeedScores]) -> None:
    """One line a seed: `seed`, then its scores under their names."""
    csv_table.write(path, ("seed", *rows[0].scores), ((row.seed, *row.scores.values()) for row in rows))
