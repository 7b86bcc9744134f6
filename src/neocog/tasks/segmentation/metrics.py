"""Metrics of masks, each with its interval, from the masks [N, H, W] given for one split and the right ones.

Counts of pixels are summed over the whole set (confusion.py) before a score is taken from them.
"""

from collections.abc import Callable, Mapping

import numpy as np

from neocog.statistics import Floats, Ints, Weights
from neocog.statistics.intervals import bootstrap
from neocog.tasks.segmentation import confusion as pixels
from neocog.tasks.segmentation.run_lengths import Mask
from neocog.tasks.task import Metric

PRIMARY = Metric(
    "miou",
    "mean IoU",
    "intersection over union of the pixels given and those that are right, averaged over classes, from one confusion matrix of all images",
)
METRICS = (
    PRIMARY,
    Metric("dice", "Dice", "F1 of the pixels of a class, averaged over classes"),
    Metric("pixel_accuracy", "pixel accuracy", "share of pixels whose class is right"),
    Metric(
        "boundary_f",
        "boundary F",
        "F1 of the boundaries of a class, 0.75 % of the diagonal apart at most, averaged over classes",
    ),
)


def scores(outputs: Mask, targets: Mask) -> Floats:
    """Mean IoU of each image [N], over the classes that it shows or is given."""
    cells = pixels.confusion(outputs, targets, classes=pixels.num_classes(outputs, targets))
    each = pixels.iou(cells.astype(np.float64))
    there = np.isfinite(each)
    return np.divide(np.nansum(each, axis=1), there.sum(axis=1), out=np.ones(len(each)), where=there.any(axis=1))


def primary(outputs: Mask, targets: Mask, weights: Weights = None) -> float:
    """Mean IoU, each image counted `weights` [N] times."""
    return scorer(outputs, targets)(weights)


def scorer(outputs: Mask, targets: Mask) -> Callable[[Weights], float]:
    """`primary` as a function of the weights: pixels are counted once, however many resamples are scored."""
    cells = pixels.confusion(outputs, targets, classes=pixels.num_classes(outputs, targets))
    return lambda weights: pixels.mean(pixels.iou(pixels.summed(cells, weights)))


def agreement(expected: Mask, answered: Mask, *, slack: float = 0.0) -> Floats:
    """The share of pixels that two models give the same class, of each image [N]; no `slack` brings classes nearer."""
    return np.asarray((expected == answered).reshape(len(expected), -1).mean(axis=1), np.float64)


def difference(expected: Mask, answered: Mask) -> float:
    """0: of classes, all that can differ is which they are, and `agreement` says that."""
    return 0.0


def calibrate(outputs: Mask, targets: Mask) -> dict[str, float]:
    """Nothing is fitted on the val split."""
    return {}


def numbers(outputs: Mask, targets: Mask, *, bins: int) -> dict[str, float]:
    """The `METRICS` without intervals: a line of seeds.csv."""
    return dict(zip((metric.name for metric in METRICS), _every(outputs, targets)(None).tolist(), strict=True))


def headlines(outputs: Mask, targets: Mask, *, resamples: int, seed: int) -> dict[str, float]:
    """Each of `METRICS` with _low and _high, which hold 95 % of `resamples` bootstrap resamples of the images."""
    every = _every(outputs, targets)
    lows, highs = bootstrap(every, len(targets), resamples=resamples, seed=seed)
    named: dict[str, float] = {}
    for metric, score, low, high in zip(METRICS, every(None), lows, highs, strict=True):
        named |= {metric.name: float(score), f"{metric.name}_low": float(low), f"{metric.name}_high": float(high)}
    return named


def sentence(scores: Mapping[str, float]) -> str:
    """The headlines in one line: mean IoU 71.1 % (70.6 - 71.6), Dice ..."""
    return ", ".join(
        f"{metric.heading} {100 * scores[metric.name]:.1f} % "
        f"({100 * scores[f'{metric.name}_low']:.1f} - {100 * scores[f'{metric.name}_high']:.1f})"
        for metric in METRICS
    )


def _every(outputs: Mask, targets: Mask) -> Callable[[Ints | None], Floats]:
    """The `METRICS` as a function of the weights."""
    classes = pixels.num_classes(outputs, targets)
    cells = pixels.confusion(outputs, targets, classes=classes)
    lines = pixels.boundaries(outputs, targets, classes=classes)

    def every(weights: Weights) -> Floats:
        own, edges = pixels.summed(cells, weights), pixels.summed(lines, weights)
        shares = (pixels.iou(own), pixels.dice(own), pixels.boundary_f(edges))
        iou, dice, boundary = map(pixels.mean, shares)
        return np.array([iou, dice, pixels.accuracy(own), boundary])

    return every
