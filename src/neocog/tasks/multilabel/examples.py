"""Example images for explanations: with exactly their labels, with a label missed, and with one given falsely."""

from collections.abc import Sequence

import numpy as np

from neocog.statistics import Bools, Floats, Ints
from neocog.tasks.multilabel.predictions import Predictions
from neocog.tasks.multilabel.thresholds import DEFAULT

RIGHT, MISSED, FALSE = "exactly the right labels", "a label missed", "a label given falsely"


def correct(outputs: Floats, targets: Bools) -> Bools:
    """Which images [N] are answered right, all labels of them, by probabilities [N, K] and a threshold of a half."""
    return np.asarray(((outputs >= DEFAULT) == targets).all(axis=1))


def caption(target: Bools, *, classes: Sequence[str]) -> str:
    """The target [K] of one image in words."""
    return f"labelled {', '.join(classes[label] for label in np.flatnonzero(target).tolist()) or 'with nothing'}"


def choose(predictions: Predictions, *, images: int) -> dict[str, list[int]]:
    """At most `images` rows of each kind: right ones evenly over the split, and those whose missed or false label is the surest mistake."""
    right = np.flatnonzero(predictions.correct)
    evenly = np.linspace(0, len(right) - 1, min(images, len(right))).round().astype(int)
    missed = np.where(predictions.targets & ~predictions.given, 1 - predictions.probabilities, -1).max(axis=1)
    false = np.where(predictions.given & ~predictions.targets, predictions.probabilities, -1).max(axis=1)
    found = {RIGHT: right[evenly].tolist()}
    for kind, surest in ((MISSED, missed), (FALSE, false)):
        order = np.argsort(-surest, kind="stable")[: int((surest >= 0).sum())]
        found[kind] = [int(row) for row in order if row not in found.get(MISSED, [])][:images]
    return found


def answered(predictions: Predictions, rows: Sequence[int]) -> Ints:
    """The label [N] by which each image of `rows` is explained: its surest mistake, of a right one the likeliest label."""
    given, targets, says = (
        part[list(rows)] for part in (predictions.given, predictions.targets, predictions.probabilities)
    )
    surely = np.where(given, says, 1 - says)
    mistakes = np.where(given != targets, surely, -1.0)
    return np.where((given == targets).all(axis=1), says.argmax(axis=1), mistakes.argmax(axis=1)).astype(np.int64)
