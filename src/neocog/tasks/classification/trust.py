"""Metrics of calibration and abstention, from the logits of one split."""

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Ints
from neocog.tasks.classification import selective
from neocog.tasks.classification.calibration import (
    adaptive_calibration_error,
    brier,
    expected_calibration_error,
    log_softmax,
    negative_log_likelihood,
)

RISK = 0.05  # of a wrong answer, at which it is asked how many images may be answered


def trust(logits: NDArray[np.floating], labels: Ints, *, bins: int, temperature: float) -> dict[str, float]:
    """Of logits [N, K] and labels [N]: adaptive_ece, brier, aurc (area under the risk-coverage curve) and coverage at 5 % risk; and
    ece and nll as they would be with the logits divided by `temperature`, which other images must have told."""
    correct = logits.argmax(axis=1) == labels
    confidence = np.exp(log_softmax(logits).max(axis=1))
    answers, honest = selective.curve(confidence, correct), logits / temperature
    return {
        "adaptive_ece": adaptive_calibration_error(confidence, correct, bins=bins),
        "brier": brier(logits, labels),
        "aurc": answers.area,
        "coverage_at_risk_5": answers.coverage_at(RISK),
        "temperature": temperature,
        "ece_at_temperature": expected_calibration_error(np.exp(log_softmax(honest).max(axis=1)), correct, bins=bins),
        "nll_at_temperature": negative_log_likelihood(honest, labels),
    }
