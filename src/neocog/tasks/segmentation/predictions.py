"""Predictions of masks, kept as predictions.parquet: the mask given for each image and the right one, in run lengths."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from neocog.core import arrow
from neocog.statistics import Floats
from neocog.tasks.segmentation import run_lengths
from neocog.tasks.segmentation.metrics import scores
from neocog.tasks.segmentation.run_lengths import Mask


@dataclass(frozen=True)
class Predictions:
    """One row an image: ids str [N], targets uint8 [N, H, W], and the masks given, uint8 [N, H, W]."""

    ids: np.ndarray
    targets: Mask
    outputs: Mask

    @cached_property
    def scores(self) -> Floats:
        """Mean IoU of each image [N]."""
        return scores(self.outputs, self.targets)


def of(outputs: Mask, *, ids: np.ndarray, targets: Mask, card: Mapping[str, Any]) -> Predictions:
    """The predictions that the masks [N, H, W] of the graph are already."""
    return Predictions(ids, targets, outputs.astype(np.uint8))


def write(path: Path, predictions: Predictions) -> None:
    """Columns id, mask and target, lists of run lengths."""
    columns = {
        "id": arrow.strings(predictions.ids.tolist()),
        "mask": _runs(predictions.outputs),
        "target": _runs(predictions.targets),
    }
    arrow.write(path, columns)


def read(path: Path) -> Predictions:
    """What `write` wrote."""
    table = arrow.read(path)
    return Predictions(arrow.names(table["id"]), _masks(table["target"]), _masks(table["mask"]))


def _runs(masks: Mask) -> pa.Array:
    rows = [np.array(run_lengths.encode(mask)) for mask in masks]
    ends = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    return pa.ListArray.from_arrays(arrow.numbers(ends), arrow.numbers(np.concatenate(rows)))


def _masks(column: pa.ChunkedArray) -> Mask:
    return run_lengths.decode([np.array(row) for row in column.to_pylist()])
