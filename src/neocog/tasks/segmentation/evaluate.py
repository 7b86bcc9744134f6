"""Evaluate a network by its masks for one split: metrics, and tables for people and for `dvc plots`."""

from pathlib import Path

from neocog.tasks.segmentation import tables
from neocog.tasks.segmentation.metrics import headlines, sentence
from neocog.tasks.segmentation.predictions import Predictions
from neocog.tasks.segmentation.run_lengths import Mask
from neocog.tasks.task import COUNTS, CURVES, TABLES, EvaluationContext

__all__ = ["evaluate", "sentence"]


def evaluate(masks: Mask, judged: Predictions, context: EvaluationContext, folder: Path) -> dict[str, float]:
    """The scores of masks [N, H, W] by name; writes the tables into `folder`."""
    tables.per_class(folder / TABLES / "per_class.csv", judged, context.classes)
    tables.by_size(folder / TABLES / "by_size.csv", judged)
    tables.groups(folder / TABLES / "groups.csv", judged, context.columns)
    tables.confusion(folder / COUNTS / "confusion.csv", judged, context.classes)
    tables.images_by_iou(folder / CURVES / "images_by_iou.csv", judged)
    return headlines(masks, judged.targets, resamples=context.bootstrap, seed=context.seed)
