"""What a bundle says about each image: asked through ONNX Runtime, kept as predictions.parquet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from neocog.bundle.read import Bundle
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared, Split
from neocog.evaluation.accuracy import Ints
from neocog.evaluation.calibration import log_softmax, probabilities

SHOWN = 12  # classes named in an error


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


def match(bundle: Bundle, prepared: Prepared) -> None:
    """Raises UserError unless the prepared images are what the bundle wants: task, classes in order, channels, size."""
    for what in ("task", "classes", "channels", "size"):
        ours, theirs = getattr(bundle, what), getattr(prepared, what)
        if ours != theirs:
            order = " in another order" if what == "classes" and set(ours) == set(theirs) else ""
            raise UserError(
                f"{what}: {bundle.folder} was trained with {_told(ours)}; "
                f"{prepared.folder} has {_told(theirs)}{order}. "
                f"Train the model again on these data (`dvc repro`), or prepare the data it was trained on"
            )


def logits(bundle: Bundle, images: NDArray[np.uint8], *, batch_size: int) -> NDArray[np.float32]:
    """Logits [N, K] of images uint8 [N, H, W, C]. Raises UserError for no images, and for NaN or infinite logits."""
    if not len(images):
        raise UserError(
            "the split holds no images; give it a share in params.yaml (data.test_fraction, data.val_fraction)"
        )
    session = bundle.session()
    batches = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
    answers = np.concatenate([session.run(["logits"], {"images": np.ascontiguousarray(batch)})[0] for batch in batches])
    bad = int((~np.isfinite(answers)).any(axis=1).sum())
    if bad:
        raise UserError(
            f"{bundle.folder}: logits of {bad} of {len(images)} images are NaN or infinite; train the model again"
        )
    return answers


def right(bundle: Bundle, part: Split, *, batch_size: int = 256) -> NDArray[np.bool_]:
    """Which images [N] of a split the bundle gets right."""
    return logits(bundle, part.images, batch_size=batch_size).argmax(axis=1) == part.labels


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


def _told(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ", ".join(value[:SHOWN]) + (f" ... ({len(value)} of them)" if len(value) > SHOWN else "")
