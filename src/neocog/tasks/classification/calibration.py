"""Calibration: probabilities, expected calibration error and likelihood, from logits [N, K] in numpy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Bools, Floats, Ints, Weights


def log_softmax(logits: NDArray[np.floating]) -> Floats:
    """Log-probabilities [N, K], in double precision and safe against overflow."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def probabilities(logits: NDArray[np.floating], *, temperature: float) -> NDArray[np.float32]:
    """What a model says of images, [N, K], by its logits and its card's `temperature`; all that is shown of an image comes from here."""
    return np.asarray(np.exp(log_softmax(logits / np.float32(temperature))), np.float32)


def negative_log_likelihood(logits: NDArray[np.floating], labels: Ints) -> float:
    """Mean of -log p(label), in nats."""
    return float(-np.take_along_axis(log_softmax(logits), labels[:, None], axis=1).mean())


def expected_calibration_error(confidence: Floats, correct: Bools, *, bins: int, weights: Weights = None) -> float:
    """|accuracy - mean confidence|, averaged over `bins` equal intervals of confidence ((m - 1) / bins, m / bins].

    `confidence` [N] is the probability of the predicted class, `correct` [N] whether that was the label. 0 is best.
    Guo, Pleiss, Sun & Weinberger (2017). On calibration of modern neural networks. ICML. arXiv:1706.04599.
    """
    once = np.ones(len(confidence)) if weights is None else weights
    into = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(into, once * (correct - confidence), bins)
    return float(np.abs(gaps).sum() / once.sum())


def adaptive_calibration_error(confidence: Floats, correct: Bools, *, bins: int) -> float:
    """The same over `bins` of equally many images each, so that no bin is empty where the model is always sure.

    Nguyen & O'Connor (2015). Posterior calibration and exploratory analysis for natural language processing models. EMNLP.
    """
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split((correct - confidence)[order], min(bins, len(confidence)))
    return float(sum(abs(part.sum()) for part in parts) / len(confidence))


def brier(logits: NDArray[np.floating], labels: Ints) -> float:
    """Mean squared distance of the probabilities [N, K] from certainty about the label: 0 is best, 2 is worst (Brier 1950)."""
    distance = np.exp(log_softmax(logits))
    distance[np.arange(len(labels)), labels] -= 1
    return float((distance**2).sum(axis=1).mean())


@dataclass(frozen=True)
class Bin:
    """Images whose confidence lies in one interval: how sure the model is of them, and how often it is right."""

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


def reliability(confidence: Floats, correct: Bools, *, bins: int) -> list[Bin]:
    """The bins of the reliability diagram that hold images, as in `expected_calibration_error`."""
    into = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return [
        Bin(
            number / bins,
            (number + 1) / bins,
            int((into == number).sum()),
            float(confidence[into == number].mean()),
            float(correct[into == number].mean()),
        )
        for number in np.unique(into)
    ]
