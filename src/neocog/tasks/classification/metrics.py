"""Metrics of a classifier, each with its interval, from the logits of one split."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Bools, Floats, Ints, Weights
from neocog.statistics.intervals import bootstrap, wilson
from neocog.tasks.classification import temperature
from neocog.tasks.classification.accuracy import macro_f1, share, within
from neocog.tasks.classification.calibration import expected_calibration_error, log_softmax, negative_log_likelihood
from neocog.tasks.task import Metric

PRIMARY = Metric("top1", "top-1", "share of test images whose class comes first", claim="is right {} of the time")
METRICS = (
    PRIMARY,
    Metric("top5", "top-5", "share whose class is among the first five", classes=5),
    Metric("macro_f1", "macro-F1", "F1 of each class, averaged over classes"),
    Metric("ece", "ECE", "expected calibration error: how far confidence is from accuracy, on average", better=-1),
)
FRACTIONS = tuple(metric.name for metric in METRICS)


def scores(outputs: NDArray[np.floating], targets: Ints) -> Bools:
    """Which images [N] are right, by logits [N, K] and labels [N]."""
    return np.asarray(outputs.argmax(axis=1) == targets)


def primary(outputs: NDArray[np.floating], targets: Ints, weights: Weights = None) -> float:
    """Top-1 of logits [N, K] with labels [N], each image counted `weights` [N] times."""
    return scorer(outputs, targets)(weights)


def scorer(outputs: NDArray[np.floating], targets: Ints) -> Callable[[Weights], float]:
    """`primary` as a function of the weights."""
    correct = scores(outputs, targets)
    return lambda weights: share(correct, weights=weights)


def agreement(expected: NDArray[np.floating], answered: NDArray[np.floating], *, slack: float = 0.0) -> Bools:
    """Which images [N] two models give the same class, by their logits [N, K].

    Where the two highest logits expected are at most `slack` apart, either class will do.
    """
    first, second = expected.argmax(axis=1), answered.argmax(axis=1)
    rows = np.arange(len(expected))
    margin = expected[rows, first] - expected[rows, second]
    return np.asarray((first == second) | ((slack > 0) & (margin <= slack)))


def calibrate(outputs: NDArray[np.floating], targets: Ints) -> dict[str, float]:
    """The entries of a bundle's card by which its outputs are calibrated, fitted on images that the model was not trained on."""
    return {"temperature": temperature.of(outputs, targets)}


def numbers(outputs: NDArray[np.floating], targets: Ints, *, bins: int) -> dict[str, float]:
    """Top1, top5, macro_f1, nll and ece of logits [N, K] with labels [N], without intervals: a line of seeds.csv."""
    found = headlines(outputs, targets, bins=bins, resamples=1, seed=0)
    return {name: found[name] for name in ("top1", "top5", "macro_f1", "nll", "ece")}


def headlines(logits: NDArray[np.floating], labels: Ints, *, bins: int, resamples: int, seed: int) -> dict[str, float]:
    """Of logits [N, K] and labels [N]: top1, top5 (topK if K < 5), macro_f1 and ece, each with _low and _high; and nll.

    The intervals of top1 and top5 are Wilson's, those of macro_f1 and ece hold 95 % of `resamples` bootstrap resamples of the images;
    `bins` are those of the calibration error.
    """
    n, num_classes = logits.shape
    predicted = logits.argmax(axis=1)
    top1 = within(1, scores=logits, labels=labels)
    top5 = within(min(5, num_classes), scores=logits, labels=labels)
    confidence = np.exp(log_softmax(logits).max(axis=1))

    def fractions(weights: Ints) -> Floats:
        f1 = macro_f1(labels, predicted, num_classes=num_classes, weights=weights)
        ece = expected_calibration_error(confidence, top1, bins=bins, weights=weights)
        return np.array([f1, ece])

    (low, high), hits = wilson(int(top1.sum()), n), share(top1)
    scores, (lows, highs) = fractions(np.ones(n, np.int64)), bootstrap(fractions, n, resamples=resamples, seed=seed)
    if hits in (0, 1):  # every resample is alike: what top-1 might have been instead says how far these are known
        off = [abs(confidence.mean() - end) for end in (low, high)]
        lows, highs = np.minimum(lows, [low, min(off)]), np.maximum(highs, [high, max(off)])
    ends = [(low, high), wilson(int(top5.sum()), n), *zip(lows, highs, strict=True)]
    found: dict[str, float] = {}
    for name, score, (low, high) in zip(FRACTIONS, (hits, share(top5), *scores), ends, strict=True):
        found |= {name: float(score), f"{name}_low": float(low), f"{name}_high": float(high)}
    return found | {"nll": negative_log_likelihood(logits, labels)}


def sentence(scores: Mapping[str, float]) -> str:
    """The headlines in one line: top-1 93.1 % (92.6 - 93.6), macro-F1 ..."""
    headings = {"top1": "top-1", "macro_f1": "macro-F1", "ece": "calibration error"}
    return ", ".join(
        f"{words} {100 * scores[name]:.1f} % ({100 * scores[f'{name}_low']:.1f} - {100 * scores[f'{name}_high']:.1f})"
        for name, words in headings.items()
    )
