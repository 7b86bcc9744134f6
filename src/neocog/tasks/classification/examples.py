"""Example images for explanations: right answers, and mistakes of the least and the most confidence."""

from collections.abc import Sequence

import numpy as np

from neocog.statistics import Bools, Floats, Ints
from neocog.tasks.classification.predictions import Predictions

RIGHT, UNSURE, SURE = "right", "wrong, and unsure", "wrong, and sure"


def correct(outputs: Floats, targets: Ints) -> Bools:
    """Which images [N] are answered right, by the outputs [N, K]."""
    return np.asarray(outputs.argmax(axis=1) == targets)


def caption(target: int, *, classes: Sequence[str]) -> str:
    """The target of one image in words."""
    return f"labelled {classes[target]}"


def choose(predictions: Predictions, *, images: int) -> dict[str, list[int]]:
    """At most `images` rows of each kind: right ones of different classes, and mistakes of the least and the most confidence."""
    right, wrong = (np.flatnonzero((predictions.predicted == predictions.labels) == value) for value in (True, False))
    first = [int(right[predictions.labels[right] == label][0]) for label in np.unique(predictions.labels[right])]
    evenly = np.linspace(0, len(first) - 1, min(images, len(first))).round().astype(int).tolist()
    order = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]
    sure = order[:images]
    unsure = order[len(sure) :][::-1][:images]
    return {RIGHT: [first[i] for i in evenly], UNSURE: unsure.tolist(), SURE: sure.tolist()}


def answered(predictions: Predictions, rows: Sequence[int]) -> Ints:
    """The outputs [N] that answered the images of `rows`: what an explanation is about."""
    return np.asarray(predictions.predicted[list(rows)], np.int64)
