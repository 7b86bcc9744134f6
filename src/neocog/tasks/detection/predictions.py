"""Predictions of a detector, kept as predictions.parquet: detections and objects of each image, and the score from which on it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from neocog.core import arrow
from neocog.statistics import Bools, Ints
from neocog.tasks.detection import DETECTIONS
from neocog.tasks.detection.average_precision import Objects, match
from neocog.tasks.detection.metrics import SURE
from neocog.tasks.detection.targets import padded

Rows = NDArray[np.float32]
FOUND = 0.5  # IoU of a detection with an object from which on it is found


@dataclass(frozen=True)
class Predictions:
    """One row an image: ids str [N], targets [N, M, 5], detections [N, D, 6]; those from the score `threshold` on are answers."""

    ids: np.ndarray
    targets: Rows
    outputs: Rows
    threshold: float

    @property
    def answers(self) -> Rows:
        """Detections [N, D, 6] from the threshold on, the others 0."""
        return np.where(self.outputs[..., 4:5] >= self.threshold, self.outputs, np.float32(0))

    @cached_property
    def found(self) -> tuple[Bools, Bools]:
        """Which detections [N, D] are answers that hit an object, and which objects [N, M] are hit."""
        answers = self.answers
        objects = Objects.of(answers, self.targets)
        matches = match(objects, ious=[FOUND])
        hits, hit = np.zeros(self.outputs.shape[:2], bool), np.zeros(self.targets.shape[:2], bool)
        image, place = _places(answers)
        hits[image[matches.hit[0]], place[matches.hit[0]]] = True
        own = np.stack(np.nonzero(self.targets[..., 4] >= 0), axis=1)[matches.partner[0][matches.hit[0]]]
        hit[own[:, 0], own[:, 1]] = True
        return hits, hit

    @property
    def correct(self) -> Bools:
        """Which images [N] have all their objects found, and nothing else."""
        hits, hit = self.found
        false = (self.answers[..., 4] > 0) & ~hits
        return np.asarray(~false.any(axis=1) & ~((self.targets[..., 4] >= 0) & ~hit).any(axis=1))


def _places(answers: Rows) -> tuple[Ints, Ints]:
    """Image and place of each detection, in the order of `Objects`."""
    image, place = np.nonzero(answers[..., 4] > 0)
    order = np.lexsort((-answers[image, place, 4].astype(np.float64), image))
    return image[order], place[order]


def of(outputs: NDArray[np.floating], *, ids: np.ndarray, targets: Rows, card: Mapping[str, Any]) -> Predictions:
    """The predictions that detections [N, D, 6] amount to, by the `threshold` of a bundle's `card`."""
    return Predictions(ids, targets, outputs.astype(np.float32), float(card.get("threshold", SURE)))


def write(path: Path, predictions: Predictions) -> None:
    """Columns id, detections (6 numbers each) and objects (5 numbers each), flat lists, and threshold."""
    columns = {
        "id": arrow.strings(predictions.ids.tolist()),
        "detections": _ragged([row[row[:, 4] > 0] for row in predictions.outputs]),
        "objects": _ragged([row[row[:, 4] >= 0] for row in predictions.targets]),
        "threshold": arrow.numbers(np.full(len(predictions.ids), predictions.threshold)),
    }
    arrow.write(path, columns)


def read(path: Path) -> Predictions:
    """What `write` wrote."""
    table = arrow.read(path)
    outputs = np.zeros((len(table), DETECTIONS, 6), np.float32)
    for row, found in zip(outputs, _rows(table["detections"], 6), strict=True):
        row[: len(found)] = found
    threshold = float(np.from_dlpack(table["threshold"].combine_chunks())[0])
    return Predictions(arrow.names(table["id"]), padded(_rows(table["objects"], 5)), outputs, threshold)


def _ragged(rows: Sequence[Rows]) -> pa.Array:
    """Rows [m, C] of each image as a list of m * C numbers."""
    ends = np.cumsum([0, *(row.size for row in rows)], dtype=np.int32)
    values = np.concatenate([row.ravel() for row in rows]).astype(np.float32)
    return pa.ListArray.from_arrays(arrow.numbers(ends), arrow.numbers(values))


def _rows(column: pa.ChunkedArray, width: int) -> list[Rows]:
    return [np.array(flat, np.float32).reshape(-1, width) for flat in column.to_pylist()]
