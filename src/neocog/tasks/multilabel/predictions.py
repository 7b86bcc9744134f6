"""Predictions of a multi-label model, kept as predictions.parquet: labels, those given and the probability of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.core import arrow
from neocog.statistics import Bools
from neocog.tasks.multilabel.thresholds import decide


@dataclass(frozen=True)
class Predictions:
    """One row an image: ids str [N], targets [N, K], labels given [N, K], probabilities float32 [N, K]."""

    ids: np.ndarray
    targets: Bools
    given: Bools
    probabilities: NDArray[np.float32]

    @property
    def outputs(self) -> NDArray[np.float32]:
        """What the graph gave out [N, K]: the probabilities."""
        return self.probabilities

    @property
    def correct(self) -> Bools:
        """Which images [N] have exactly their labels given."""
        return np.asarray((self.targets == self.given).all(axis=1))


def of(outputs: NDArray[np.floating], *, ids: np.ndarray, targets: Bools, card: Mapping[str, Any]) -> Predictions:
    """The predictions that probabilities [N, K] amount to, by the `thresholds` of a bundle's `card`."""
    return Predictions(ids, targets, decide(outputs, list(card["thresholds"])), outputs.astype(np.float32))


def write(path: Path, predictions: Predictions) -> None:
    """Columns id, labels and given (lists of indices), probabilities (a list of K)."""
    columns = {
        "id": arrow.strings(predictions.ids.tolist()),
        "labels": arrow.indices(predictions.targets),
        "given": arrow.indices(predictions.given),
        "probabilities": arrow.rows(predictions.probabilities),
    }
    arrow.write(path, columns)


def read(path: Path) -> Predictions:
    """What `write` wrote."""
    table = arrow.read(path)
    probabilities = arrow.matrix(table["probabilities"])
    targets, given = (np.zeros(probabilities.shape, bool) for _ in range(2))
    for column, into in (("labels", targets), ("given", given)):
        for row, labels in zip(into, table[column].to_pylist(), strict=True):
            row[labels] = True
    return Predictions(arrow.names(table["id"]), targets, given, probabilities)
