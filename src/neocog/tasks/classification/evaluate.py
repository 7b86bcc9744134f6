"""Evaluate a classifier by its predictions for one split: metrics, and tables for people and for `dvc plots`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.core import csv_table
from neocog.statistics import slices
from neocog.tasks.classification import tables
from neocog.tasks.classification.group_gaps import gaps
from neocog.tasks.classification.metrics import headlines, sentence
from neocog.tasks.classification.predictions import Predictions
from neocog.tasks.classification.trust import trust
from neocog.tasks.task import COUNTS, CURVES, TABLES, EvaluationContext

__all__ = ["evaluate", "sentence"]


def evaluate(
    logits: NDArray[np.float32], judged: Predictions, context: EvaluationContext, folder: Path
) -> dict[str, float]:
    """The scores of logits [N, K], and of what they were `judged` to say, by name; writes the tables into `folder`."""
    classes, columns, bins = context.classes, context.columns, context.bins
    scores = headlines(logits, judged.labels, bins=bins, resamples=context.bootstrap, seed=context.seed)
    scores |= trust(logits, judged.labels, bins=bins, temperature=context.card["temperature"])
    scores |= gaps(judged.labels, judged.predicted, columns, classes=classes)
    names = [classes[label] for label in judged.labels]
    tables.per_class(folder / TABLES / "per_class.csv", judged, classes)
    tables.confusion(folder / COUNTS / "confusion.csv", judged, classes)
    found = tables.reliability(folder / TABLES / "reliability.csv", judged, bins=bins)
    csv_table.write(folder / CURVES / "accuracy_by_confidence.csv", ("x", "y"), found)
    tables.groups(folder / TABLES / "groups.csv", judged, {**columns, **slices.crossed(names, columns)})
    tables.group_confusion(folder / TABLES / "group_confusion.csv", judged, classes, columns)
    return scores
