"""Example images of a segmentation: the best, the middle and the worst by their mean IoU."""

from collections.abc import Sequence

import numpy as np

from neocog.statistics import Bools
from neocog.tasks.segmentation import IGNORED
from neocog.tasks.segmentation.metrics import scores
from neocog.tasks.segmentation.predictions import Predictions
from neocog.tasks.segmentation.run_lengths import Mask

BEST, MIDDLE, WORST = "the best masks", "masks in the middle", "the worst masks"
RIGHT = 0.8  # mean IoU from which on the mask of an image is right


def correct(outputs: Mask, targets: Mask) -> Bools:
    """Which images [N] have a mean IoU of RIGHT at least."""
    return np.asarray(scores(outputs, targets) >= RIGHT)


def caption(target: Mask, *, classes: Sequence[str]) -> str:
    """The target [H, W] of one image in words."""
    shown = np.unique(target[target != IGNORED]).tolist()
    return f"with {', '.join(classes[label] for label in shown) or 'nothing'}"


def choose(predictions: Predictions, *, images: int) -> dict[str, list[int]]:
    """At most `images` rows of each kind: the best spread over the upper quarter, those around the median, and the very worst."""
    order = np.argsort(-predictions.scores, kind="stable")
    upper = order[: max(1, len(order) // 4)]
    best = upper[np.unique(np.linspace(0, len(upper) - 1, min(images, len(upper))).astype(int))]
    worst = [row for row in order[::-1][:images].tolist() if row not in best]
    middle = order[max(0, (len(order) - images) // 2) :][:images].tolist()
    found = {BEST: best.tolist(), MIDDLE: middle, WORST: worst}
    return {
        WORST: found[WORST],
        MIDDLE: [row for row in middle if row not in (*found[BEST], *worst)],
        BEST: found[BEST],
    }
