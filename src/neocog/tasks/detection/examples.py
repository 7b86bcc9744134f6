"""Example images of a detector: with exactly their objects found, with one missed, and with one found falsely."""

from collections.abc import Sequence

import numpy as np

from neocog.statistics import Bools
from neocog.tasks.detection.geometry import Numbers
from neocog.tasks.detection.metrics import scores
from neocog.tasks.detection.predictions import Predictions

RIGHT, MISSED, FALSE = "exactly its objects found", "an object missed", "an object found falsely"


def correct(outputs: Numbers, targets: Numbers) -> Bools:
    """Which images [N] have exactly their objects among the sure detections."""
    return np.asarray(scores(outputs, targets) == 1)


def caption(target: Numbers, *, classes: Sequence[str]) -> str:
    """The target [M, 5] of one image in words."""
    return f"with {', '.join(classes[int(label)] for label in target[:, 4] if label >= 0) or 'no object'}"


def choose(predictions: Predictions, *, images: int) -> dict[str, list[int]]:
    """At most `images` rows of each kind: right ones with most objects spread over the split, those with the largest missed object, and
    those with the surest false detection."""
    hits, hit = predictions.found
    there = predictions.targets[..., 4] >= 0
    sides = predictions.targets[..., 2:4] - predictions.targets[..., :2]
    missed = np.where(there & ~hit, sides.prod(axis=-1), -1).max(axis=1)
    false = np.where((predictions.answers[..., 4] > 0) & ~hits, predictions.answers[..., 4], -1).max(axis=1)
    right = np.flatnonzero(predictions.correct & there.any(axis=1))
    evenly = np.linspace(0, len(right) - 1, min(images, len(right))).round().astype(int)
    found = {RIGHT: right[evenly].tolist()}
    for kind, surest in ((MISSED, missed), (FALSE, false)):
        order = np.argsort(-surest, kind="stable")[: int((surest >= 0).sum())]
        found[kind] = [int(row) for row in order if row not in found.get(MISSED, [])][:images]
    return found
