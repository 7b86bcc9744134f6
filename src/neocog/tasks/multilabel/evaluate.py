"""Judge a network by its probabilities for one split: metrics, predictions.parquet, and tables for people and for `dvc plots`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.prepared import Prepared, Split
from neocog.tasks.multilabel import predictions, tables
from neocog.tasks.multilabel.metrics import headlines, sentence

__all__ = ["FILES", "evaluate", "sentence"]

FILES = (
    "predictions.parquet",
    "per_class.csv",
    "confusion.csv",
    "reliability.csv",
    "groups.csv",
    "group_confusion.csv",
)


def evaluate(
    outputs: NDArray[np.float32],
    part: Split,
    data: Prepared,
    folder: Path,
    *,
    card: Mapping[str, Any],
    columns: Mapping[str, list[str | None]],
    bins: int,
    bootstrap: int,
    seed: int,
) -> dict[str, float]:
    """The scores of probabilities [N, K] for the images of `part` of `data`, by name; writes FILES into `folder`.

    `card` is that of the bundle that gave them, `columns` are the group columns of `part`, the rest are the section `evaluate` of params.
    """
    thresholds = card["thresholds"]
    judged = predictions.of(outputs, ids=part.ids, targets=part.targets, thresholds=thresholds)
    predictions.write(folder / "predictions.parquet", judged)
    tables.per_class(folder / "per_class.csv", judged, data.classes, thresholds=thresholds)
    tables.confusion(folder / "confusion.csv", judged, data.classes)
    tables.reliability(folder / "reliability.csv", judged, bins=bins)
    tables.groups(folder / "groups.csv", judged, columns)
    tables.group_confusion(folder / "group_confusion.csv", judged, data.classes, columns)
    return headlines(outputs, part.targets, thresholds=thresholds, resamples=bootstrap, seed=seed)
