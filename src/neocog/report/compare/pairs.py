"""Paired tests of every model against every other: difference, interval, p-value, corrected for the number of tests.

McNemar, Q. (1947); Newcombe, R. G. (1998); Holm, S. (1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.core import csv_table
from neocog.report.models import JudgedModel
from neocog.statistics.paired import from_resamples, mcnemar, newcombe

Floats = NDArray[np.float64]
COLUMNS = ("model_a", "model_b", "difference", "low", "high", "p", "p_holm")
LEVEL = 0.05  # of false alarms, in all comparisons together


@dataclass(frozen=True)
class Pairs:
    """All pairs of M models; every array is [M, M], row against column.

    `wins` counts the images that only the row gets right, None where an answer is more than right or wrong; `difference` is of the primary
    metric, `low` and `high` are the ends of its 95 % interval, `p` is McNemar's or that of a paired bootstrap, `holm` the same corrected
    for all comparisons. `images` is how many were asked.
    """

    images: int
    wins: NDArray[np.int64] | None
    difference: Floats
    low: Floats
    high: Floats
    p: Floats
    holm: Floats

    @property
    def comparisons(self) -> int:
        """How many pairs there are."""
        return len(self.p) * (len(self.p) - 1) // 2

    @property
    def hold(self) -> int:
        """How many of them differ beyond chance when all are asked at once."""
        return int((np.triu(self.holm < LEVEL, 1)).sum())

    @property
    def alone(self) -> int:
        """How many would, had each been the only question."""
        return int((np.triu(self.p < LEVEL, 1)).sum())


def compare(models: Sequence[JudgedModel]) -> Pairs:
    """All pairs of models, by whether each image was answered right or else by resampling the images."""
    if models[0].scores.dtype == bool:
        return paired(np.stack([np.asarray(model.scores, bool) for model in models]))
    return bootstrapped(
        np.array([model.row.score for model in models]),
        np.stack([model.resampled for model in models]),
        images=len(models[0].predictions.ids),
    )


def bootstrapped(scores: Floats, again: Floats, *, images: int) -> Pairs:
    """All pairs by the models' `scores` [M] and the same on resamples of the images, `again` [M, R]."""
    difference = scores[:, None] - scores[None, :]
    low, high, p, corrected = (np.zeros(difference.shape), np.zeros(difference.shape), *np.ones((2, *difference.shape)))
    above = np.triu_indices(len(scores), 1)
    for i, j in zip(*above, strict=True):
        found = from_resamples(float(difference[i, j]), again[i] - again[j])
        low[i, j], high[i, j], p[i, j] = found.low, found.high, found.p_value
        low[j, i], high[j, i], p[j, i] = -found.high, -found.low, found.p_value
    corrected[above] = holm(p[above])
    corrected.T[above] = corrected[above]
    return Pairs(images, None, difference, low, high, p, corrected)


def paired(correct: NDArray[np.bool_]) -> Pairs:
    """All pairs of models that were `correct` [M, N] or not, image by image."""
    right = correct.astype(np.float64)
    wins = np.rint(right @ (1 - right).T).astype(np.int64)
    low, high = newcombe(wins, correct)
    above = np.triu_indices(len(wins), 1)
    p, corrected = np.ones(wins.shape), np.ones(wins.shape)
    p[above] = [mcnemar(int(wins[i, j]), int(wins[j, i])) for i, j in zip(*above, strict=True)]
    corrected[above] = holm(p[above])
    p.T[above], corrected.T[above] = p[above], corrected[above]
    return Pairs(correct.shape[1], wins, (wins - wins.T) / correct.shape[1], low, high, p, corrected)


def holm(p: Floats) -> Floats:
    """Each p-value so corrected that one below 0.05 by chance, among all [P], happens at most once in twenty times."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def write_csv(path: Path, models: Sequence[str], pairs: Pairs | None) -> None:
    """One line a pair under COLUMNS, the one named first being ranked higher; to six digits. None of pairs leaves the heading alone."""
    lines = []
    for i, j in combinations(range(len(models)), 2) if pairs else ():
        assert pairs is not None
        scores = (pairs.difference[i, j], pairs.low[i, j], pairs.high[i, j], pairs.p[i, j], pairs.holm[i, j])
        lines.append([models[i], models[j], *(f"{score:.6g}" for score in scores)])
    csv_table.write(path, COLUMNS, lines)
