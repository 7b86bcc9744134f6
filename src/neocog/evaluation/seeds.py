"""How much is chance? The same architecture trained with several seeds: the scores of each, their mean and spread.

A bundle trained with `seeds: 3` holds the networks of the further seeds as bundles of their own, in seeds/<seed>/.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from neocog.bundle import read
from neocog.bundle.read import Bundle
from neocog.core import csv_table
from neocog.data.prepared import Split
from neocog.evaluation import predictions
from neocog.tasks.classification.metrics import headlines


@dataclass(frozen=True)
class Row:
    """The scores of the network trained with `seed`, as fractions; nll in nats."""

    seed: int
    top1: float
    top5: float
    macro_f1: float
    nll: float
    ece: float


def further(bundle: Bundle) -> dict[int, Bundle]:
    """The networks of the further seeds, in their order; empty if it was trained once."""
    folders = {int(each.name): each for each in (bundle.folder / read.SEEDS).glob("*") if each.name.isdigit()}
    return {seed: read.read(folders[seed]) for seed in sorted(folders)}


def judge(bundle: Bundle, logits: NDArray[np.floating], part: Split, *, bins: int, batch_size: int) -> list[Row]:
    """A row for each seed on the images of `part`: of `bundle` itself, which gave the `logits` [N, K], and of the further ones."""
    answers = {int(bundle.card["provenance"]["seed"]): logits}
    for seed, other in further(bundle).items():
        answers[seed] = predictions.logits(other, part.images, batch_size=batch_size)
    rows = []
    for seed, given in answers.items():
        scores = headlines(given, part.targets, bins=bins, resamples=1, seed=0)
        rows.append(Row(seed, *(round(scores[field.name], 6) for field in fields(Row)[1:])))
    return rows


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """top1_mean and top1_std, the sample's standard deviation; empty for a single seed, which has no spread."""
    top1 = [row.top1 for row in rows]
    return {"top1_mean": round(mean(top1), 6), "top1_std": round(stdev(top1), 6)} if len(rows) > 1 else {}


def write(path: Path, rows: Sequence[Row]) -> None:
    """seed, top1, top5, macro_f1, nll, ece: one line a seed."""
    csv_table.write(path, [field.name for field in fields(Row)], map(astuple, rows))
