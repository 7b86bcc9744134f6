"""What a network says of each image: its labels, those given and the probability of each, kept as predictions.parquet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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


def of(outputs: NDArray[np.floating], *, ids: np.ndarray, targets: Bools, thresholds: Sequence[float]) -> Predictions:
    """The predictions that probabilities [N, K] amount to."""
    return Predictions(ids, targets, decide(outputs, list(thresholds)), outputs.astype(np.float32))


def write(path: Path, predictions: Predictions) -> None:
    """Columns id, labels and given (lists of indices), probabilities (a list of K)."""
    columns = {
        "id": arrow.strings(predictions.ids.tolist()),
        "labels": arrow.indices(predictions.targets),
        "given": arrow.indices(predictions.given),
        "probabilities": arrow.rows(predictions.probabilities),
    }
    path.unlink(missing_ok=True)  # tracking may hold a link to the file that is there
    pq.write_table(pa.table(columns), path)


def read(path: Path) -> Predictions:
    """What `write` wrote."""
    table = pq.ParquetFile(path).read()
    flat = table["probabilities"].combine_chunks().values
    probabilities = np.asarray(np.from_dlpack(flat), np.float32).reshape(table.num_rows, -1)
    targets, given = (np.zeros(probabilities.shape, bool) for _ in range(2))
    for column, into in (("labels", targets), ("given", given)):
        for row, labels in zip(into, table[column].to_pylist(), strict=True):
            row[labels] = True
    return Predictions(np.array(table["id"].to_pylist(), dtype=object), targets, given, probabilities)
