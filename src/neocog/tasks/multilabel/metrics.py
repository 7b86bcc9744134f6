"""Metrics of a multi-label model, each with its interval, from the probabilities [N, K] and targets [N, K] of one split."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Bools, Floats, Ints, Weights
from neocog.statistics.intervals import bootstrap
from neocog.tasks.multilabel.average_precision import Ranking
from neocog.tasks.multilabel.f1 import counts, hamming_loss, subset_accuracy
from neocog.tasks.multilabel.thresholds import DEFAULT, decide, fit
from neocog.tasks.task import Metric

PRIMARY = Metric(
    "map", "mAP", "mean average precision: how well the images of a label are ranked, averaged over labels"
)
METRICS = (
    PRIMARY,
    Metric(
        "micro_f1",
        "micro-F1",
        "harmonic mean of precision and recall of all decisions, each label given from its threshold on",
    ),
    Metric("macro_f1", "macro-F1", "harmonic mean of precision and recall of each label, averaged over the labels"),
    Metric("subset_accuracy", "subset accuracy", "share of test images all of whose labels are right"),
    Metric(
        "hamming_loss", "Hamming loss", "share of decisions, one for each image and label, that are wrong", better=-1
    ),
)


def scores(outputs: NDArray[np.floating], targets: Bools) -> Floats:
    """The share of labels decided right, at a probability of a half, of each image [N]."""
    return np.asarray(((outputs >= DEFAULT) == targets).mean(axis=1), np.float64)


def primary(outputs: NDArray[np.floating], targets: Bools, weights: Weights = None) -> float:
    """Mean average precision of probabilities [N, K] with targets [N, K], each image counted `weights` [N] times."""
    return scorer(outputs, targets)(weights)


def scorer(outputs: NDArray[np.floating], targets: Bools) -> Callable[[Weights], float]:
    """`primary` as a function of the weights: images are sorted once, however many resamples are scored."""
    return Ranking.of(outputs, targets).mean


def agreement(expected: NDArray[np.floating], answered: NDArray[np.floating], *, slack: float = 0.0) -> Floats:
    """The share of labels that two models decide alike, at a probability of a half, of each image [N].

    Where the probability expected is at most `slack` away from it, either decision will do.
    """
    alike = (expected >= DEFAULT) == (answered >= DEFAULT)
    return np.asarray((alike | ((slack > 0) & (np.abs(expected - DEFAULT) <= slack))).mean(axis=1), np.float64)


def numbers(outputs: NDArray[np.floating], targets: Bools, *, bins: int) -> dict[str, float]:
    """Mean average precision, and the others of `METRICS` at a probability of a half, without intervals: a line of seeds.csv."""
    found = headlines(outputs, targets, thresholds=[DEFAULT] * targets.shape[1], resamples=1, seed=0)
    return {metric.name: found[metric.name] for metric in METRICS}


def calibrate(outputs: NDArray[np.floating], targets: Bools) -> dict[str, list[float]]:
    """The entries of a bundle's card that decide by its outputs, fitted on images that the model was not trained on."""
    return {"thresholds": fit(outputs, targets)}


def headlines(
    probabilities: NDArray[np.floating], targets: Bools, *, thresholds: Sequence[float], resamples: int, seed: int
) -> dict[str, float]:
    """Each of `METRICS` with _low and _high, which hold 95 % of `resamples` bootstrap resamples of the images."""
    ranking, given = Ranking.of(probabilities, targets), decide(probabilities, list(thresholds))

    def every(weights: Ints) -> Floats:
        counted = counts(targets, given, weights)
        wrong = hamming_loss(targets, given, weights)
        right = subset_accuracy(targets, given, weights)
        return np.array([ranking.mean(weights), counted.micro_f1(), counted.macro_f1(), right, wrong])

    found, (lows, highs) = (
        every(np.ones(len(targets), np.int64)),
        bootstrap(every, len(targets), resamples=resamples, seed=seed),
    )
    named: dict[str, float] = {}
    for metric, score, low, high in zip(METRICS, found, lows, highs, strict=True):
        named |= {metric.name: float(score), f"{metric.name}_low": float(low), f"{metric.name}_high": float(high)}
    return named


def sentence(scores: Mapping[str, float]) -> str:
    """The headlines in one line: mAP 93.1 % (92.6 - 93.6), micro-F1 ..."""
    return ", ".join(
        f"{metric.heading} {100 * scores[metric.name]:.1f} % "
        f"({100 * scores[f'{metric.name}_low']:.1f} - {100 * scores[f'{metric.name}_high']:.1f})"
        for metric in METRICS
    )
