"""Evaluate a detector by its detections for one split: metrics, and tables for people and for `dvc plots`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.tasks.detection import tables
from neocog.tasks.detection.metrics import headlines, sentence
from neocog.tasks.detection.predictions import Predictions
from neocog.tasks.task import COUNTS, CURVES, TABLES, EvaluationContext

__all__ = ["evaluate", "sentence"]


def evaluate(
    detections: NDArray[np.float32], judged: Predictions, context: EvaluationContext, folder: Path
) -> dict[str, float]:
    """The scores of detections [N, D, 6] by name; writes the tables into `folder`."""
    tables.per_class(folder / TABLES / "per_class.csv", judged, context.classes)
    tables.by_size(folder / TABLES / "by_size.csv", judged)
    tables.errors(folder / TABLES / "errors.csv", judged)
    tables.groups(folder / TABLES / "groups.csv", judged, context.columns)
    tables.confusion(folder / COUNTS / "confusion.csv", judged, context.classes)
    tables.precision_by_recall(folder / CURVES / "precision_by_recall.csv", judged)
    return headlines(detections, judged.targets, resamples=context.bootstrap, seed=context.seed)
