"""Predictions of a classifier, kept as predictions.parquet: label, predicted class and probabilities of each image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.core import arrow
from neocog.statistics import Ints
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

    @property
    def targets(self) -> Ints:
        """The labels [N]."""
        return self.labels

    @property
    def outputs(self) -> NDArray[np.float32]:
        """The logits [N, K], up to a constant for each image."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities)


def of(
    outputs: NDArray[np.float32], *, ids: np.ndarray, targets: Ints, card: Mapping[str, Any] | None = None
) -> Predictions:
    """The predictions that logits [N, K] amount to; nothing of a bundle's `card` is needed for them."""
    return Predictions(ids, targets, outputs.argmax(axis=1), np.exp(log_softmax(outputs)).astype(np.float32))


def calibrated(judged: Predictions, temperature: float) -> Predictions:
    """The same, as `predict` and `serve` tell it: predictions.parquet holds what the graph says, from which calibration is measured."""
    return replace(judged, probabilities=probabilities(judged.outputs, temperature=temperature))


def write(path: Path, predictions: Predictions) -> None:
    """Columns id, label, predicted, confidence, probabilities (a list of K)."""
    columns = {
        "id": arrow.strings(predictions.ids.tolist()),
        "label": arrow.numbers(predictions.labels),
        "predicted": arrow.numbers(predictions.predicted),
        "confidence": arrow.numbers(predictions.confidence),
        "probabilities": arrow.rows(predictions.probabilities),
    }
    arrow.write(path, columns)


def read(path: Path) -> Predictions:
    """What `write` wrote."""
    table = arrow.read(path)
    return Predictions(
        ids=arrow.names(table["id"]),
        labels=np.array(table["label"].to_pylist(), dtype=np.int64),
        predicted=np.array(table["predicted"].to_pylist(), dtype=np.int64),
        probabilities=arrow.matrix(table["probabilities"]),
    )
