"""Judged classifier: its errors on the test images, their confidence, the confusion matrix."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neocog.report.models import JudgedModel
from neocog.statistics import Bools, Ints
from neocog.tasks.classification import accuracy
from neocog.tasks.classification.accuracy import ClassCounts
from neocog.tasks.classification.predictions import Predictions, calibrated


@dataclass(frozen=True)
class JudgedClassifier:
    """A `model` of the report with what only a classifier has."""

    model: JudgedModel

    @property
    def predictions(self) -> Predictions:
        found: Predictions = self.model.predictions
        return found

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """How sure it was of its answer to each image [N], calibrated."""
        return calibrated(self.predictions, float(self.model.bundle.card.get("temperature", 1.0))).confidence

    @cached_property
    def wrong(self) -> Bools:
        """Which images [N] it gets wrong."""
        return self.predictions.predicted != self.predictions.labels

    @cached_property
    def confusion(self) -> Ints:
        """Counts [K, K], row = actual class, column = predicted class."""
        labels, predicted = self.predictions.labels, self.predictions.predicted
        return accuracy.confusion(labels, predicted, num_classes=len(self.model.bundle.classes))

    @cached_property
    def by_class(self) -> ClassCounts:
        """Counts of each class [K]."""
        labels, predicted = self.predictions.labels, self.predictions.predicted
        return accuracy.counts(labels, predicted, num_classes=len(self.model.bundle.classes))

    def mistakes(self, most: int) -> NDArray[np.intp]:
        """Rows of the test split that it got wrong, most confident first, at most so many."""
        rows = np.flatnonzero(self.wrong)
        return rows[np.argsort(-self.confidence[rows], kind="stable")][:most]
