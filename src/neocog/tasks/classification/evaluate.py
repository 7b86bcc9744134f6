"""Judge a classifier by its logits for one split: metrics, predictions.parquet, and tables for people and for `dvc plots`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.prepared import Prepared, Split
from neocog.statistics import slices
from neocog.tasks.classification import predictions, tables
from neocog.tasks.classification.group_gaps import gaps
from neocog.tasks.classification.metrics import headlines, sentence
from neocog.tasks.classification.trust import trust

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
    """The scores of logits [N, K] for the images of `part` of `data`, by name; writes FILES into `folder`.

    `card` is that of the bundle that gave them, `columns` are the group columns of `part`, the rest are the section `evaluate` of params.
    """
    scores = headlines(outputs, part.targets, bins=bins, resamples=bootstrap, seed=seed)
    scores |= trust(outputs, part.targets, bins=bins, temperature=card["temperature"])
    judged = predictions.of(outputs, ids=part.ids, labels=part.targets)
    names = [data.classes[label] for label in part.targets]
    scores |= gaps(judged.labels, judged.predicted, columns, classes=data.classes)
    predictions.write(folder / "predictions.parquet", judged)
    tables.per_class(folder / "per_class.csv", judged, data.classes)
    tables.confusion(folder / "confusion.csv", judged, data.classes)
    tables.reliability(folder / "reliability.csv", judged, bins=bins)
    tables.groups(folder / "groups.csv", judged, {**columns, **slices.crossed(names, columns)})
    tables.group_confusion(folder / "group_confusion.csv", judged, data.classes, columns)
    return scores
