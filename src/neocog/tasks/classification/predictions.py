"""What a classifier says of each image: label, predicted class and probabilities, kept as predictions.parquet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from neocog.statistics.arrays import Ints
from neocog.tasks.classification.calibration import log_softmax, probabilities


@dataclass(frozen=True)
class Predictions:
    """One row an image: ids str [N], labels [N], predicted [N], probabilities float32 [N, K]."""

    ids: np.ndarray
    labels: Ints
    predicted: Ints
    probabilities: NDArray[np.float32]

    @property
    def confidence(self) -> NDArray[np.float32]:
        """The probability of the predicted class [N]."""
        return np.asarray(np.take_along_axis(self.probabilities, self.predicted[:, None], axis=1)[:, 0])


def of(answers: NDArray[np.float32], *, ids: np.ndarray, labels: Ints) -> Predictions:
    """The predictions that logits [N, K] amount to."""
    return Predictions(ids, labels, answers.argmax(axis=1), np.exp(log_softmax(answers)).astype(np.float32))


def calibrated(judged: Predictions, temperature: float) -> Predictions:
    """The same, as `predict` and `serve` tell it: predictions.parquet holds what the graph says, from which calibration is measured."""
    with np.errstate(divide="ignore"):
        logits = np.log(judged.probabilities)
    return replace(judged, probabilities=probabilities(logits, temperature=temperature))


def write(path: Path, predictions: Predictions) -> None:
    """Columns id, label, predicted, confidence, probabilities (a list of K)."""
    n, num_classes = predictions.probabilities.shape
    ends = _numbers(np.arange(n + 1, dtype=np.int32) * np.int32(num_classes))
    columns = {
        "id": _strings(predictions.ids.tolist()),
        "label": _numbers(predictions.labels),
        "predicted": _numbers(predictions.predicted),
        "confidence": _numbers(predictions.confidence),
        "probabilities": pa.ListArray.from_arrays(ends, _numbers(predictions.probabilities.ravel())),
    }
    path.unlink(missing_ok=True)  # tracking may hold a link to the file that is there
    pq.write_table(pa.table(columns), path)


def read(path: Path) -> Predictions:
    """What `write` wrote."""
    table = pq.ParquetFile(path).read()
    flat = table["probabilities"].combine_chunks().values
    return Predictions(
        ids=np.array(table["id"].to_pylist(), dtype=object),
        labels=np.array(table["label"].to_pylist(), dtype=np.int64),
        predicted=np.array(table["predicted"].to_pylist(), dtype=np.int64),
        probabilities=np.asarray(np.from_dlpack(flat), np.float32).reshape(table.num_rows, -1),
    )


# pyarrow.array, to_numpy and read_table import pandas where it is installed, which takes 1.6 s: hence the buffers.


def _numbers(values: np.ndarray) -> pa.Array:
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, buffer])


def _strings(values: Sequence[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))
