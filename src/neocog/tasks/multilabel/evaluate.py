"""Evaluate a network by its predictions for one split: metrics, and tables for people and for `dvc plots`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.core import csv_table
from neocog.tasks.multilabel import tables
from neocog.tasks.multilabel.metrics import headlines, sentence
from neocog.tasks.multilabel.predictions import Predictions
from neocog.tasks.task import COUNTS, CURVES, TABLES, EvaluationContext

__all__ = ["evaluate", "sentence"]


def evaluate(
    probabilities: NDArray[np.float32], judged: Predictions, context: EvaluationContext, folder: Path
) -> dict[str, float]:
    """The scores of probabilities [N, K], and of the labels `judged` to be given, by name; writes the tables into `folder`."""
    classes, thresholds = context.classes, context.card["thresholds"]
    tables.per_class(folder / TABLES / "per_class.csv", judged, classes, thresholds=thresholds)
    tables.confusion(folder / COUNTS / "confusion.csv", judged, classes)
    found = tables.reliability(folder / TABLES / "reliability.csv", judged, bins=context.bins)
    csv_table.write(folder / CURVES / "frequency_by_confidence.csv", ("x", "y"), found)
    tables.groups(folder / TABLES / "groups.csv", judged, context.columns)
    tables.group_confusion(folder / TABLES / "group_confusion.csv", judged, classes, context.columns)
    return headlines(
        probabilities, judged.targets, thresholds=thresholds, resamples=context.bootstrap, seed=context.seed
    )
