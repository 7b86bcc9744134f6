"""Can one trust what a model says of itself? Calibration, temperature, selective answers, groups: known answers and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss

from neocog.statistics import intervals, slices
from neocog.tasks.classification import selective, temperature
from neocog.tasks.classification.calibration import (
    adaptive_calibration_error,
    brier,
    expected_calibration_error,
    log_softmax,
    negative_log_likelihood,
    reliability,
)


def answers(seed: int, *, n: int = 400, k: int = 5, boast: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits [n, k] whose softmax is the truth about labels [n], times `boast`."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (n, k))
    labels = (np.exp(log_softmax(logits)).cumsum(1) < draw.random((n, 1))).sum(1).clip(0, k - 1)
    return boast * logits, labels


@given(st.integers(0, 50), st.floats(0.3, 4))
def test_the_temperature_finds_back_by_how_much_a_model_boasts(seed, boast):
    logits, labels = answers(seed, n=3000, boast=boast)
    found = temperature.fit(logits, labels)
    assert found / boast == pytest.approx(1, rel=0.25)
    assert negative_log_likelihood(logits / found, labels) <= negative_log_likelihood(logits, labels) + 1e-9
    assert (logits.argmax(1) == (logits / found).argmax(1)).all()


def test_an_honest_model_is_calibrated_and_a_boasting_one_is_not():
    def errors(boast):
        logits, labels = answers(0, n=20_000, boast=boast)
        confidence, correct = np.exp(log_softmax(logits).max(1)), logits.argmax(1) == labels
        return (
            expected_calibration_error(confidence, correct, bins=15),
            adaptive_calibration_error(confidence, correct, bins=15),
        )

    assert max(errors(1.0)) < 0.02 and min(errors(3.0)) > 0.08


def test_adaptive_bins_hold_equally_many_images_by_hand():
    confidence = np.array([0.99, 0.98, 0.97, 0.6])
    correct = np.array([True, True, False, True])
    assert adaptive_calibration_error(confidence, correct, bins=2) == pytest.approx(
        (abs(0.97 - 1 + 0.6 - 1 + 1) + 0.03) / 4
    )


def test_the_brier_score_is_that_of_scikit_learn():
    logits, labels = answers(3, k=2)
    p = np.exp(log_softmax(logits))[:, 1]
    assert brier(logits, labels) == pytest.approx(2 * brier_score_loss(labels, p))


@given(st.integers(0, 30))
def test_the_reliability_diagram_holds_every_image_once_and_adds_up_to_the_error(seed):
    logits, labels = answers(seed)
    confidence, correct = np.exp(log_softmax(logits).max(1)), logits.argmax(1) == labels
    bins = reliability(confidence, correct, bins=10)
    assert sum(each.images for each in bins) == len(labels)
    assert all(each.low < each.confidence <= each.high for each in bins)
    error = sum(each.images * abs(each.accuracy - each.confidence) for each in bins) / len(labels)
    assert error == pytest.approx(expected_calibration_error(confidence, correct, bins=10))


@given(st.integers(0, 30))
def test_answering_everything_has_the_risk_of_the_model_and_knowing_ones_mistakes_the_least_area(seed):
    logits, labels = answers(seed)
    correct = logits.argmax(1) == labels
    blind = selective.curve(np.zeros(len(labels)), correct)
    knowing = selective.curve(correct.astype(float), correct)
    own = selective.curve(np.exp(log_softmax(logits).max(1)), correct)
    assert own.risk[-1] == pytest.approx(1 - correct.mean()) and own.coverage[-1] == 1
    assert knowing.area <= min(own.area, blind.area)
    assert knowing.coverage_at(0) == pytest.approx(correct.mean())


def test_a_model_that_is_wrong_where_it_is_surest_may_answer_nothing():
    curve = selective.curve(np.array([0.9, 0.5, 0.4]), np.array([False, True, True]))
    assert curve.coverage_at(0.1) == 0 and curve.coverage_at(0.34) == 1


@given(st.integers(1, 500), st.integers(0, 500))
def test_wilsons_interval_is_that_of_scipy(n, hits):
    hits = min(hits, n)
    exact = binomtest(hits, n).proportion_ci(method="wilson")
    assert intervals.wilson(hits, n) == pytest.approx((exact.low, exact.high), abs=1e-6)


@pytest.mark.parametrize(  # Newcombe (1998), table II, method 10
    ("seen", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ],
)
def test_the_interval_of_a_gap_is_the_one_of_newcombes_table(seen, low, high):
    hits, n, fewer, of = seen
    assert intervals.newcombe(*seen) == pytest.approx((hits / n - fewer / of, low, high), abs=6e-5)


def test_groups_are_judged_apart_and_the_worst_is_named():
    correct = np.array([True] * 30 + [False] * 10 + [True] * 20 + [False])
    columns = {"light": ["dark"] * 40 + ["day"] * 20 + [None], "camera": ["a"] * 61}
    found = slices.slices(correct, columns)
    assert [(each.column, each.value, each.images, round(each.score, 2)) for each in found] == [
        ("light", "dark", 40, 0.75),
        ("light", "day", 20, 1.0),
        ("camera", "a", 61, 0.82),
    ]
    worst, best = slices.extremes(found, "light")
    assert (worst.value, best.value) == ("dark", "day")
    assert slices.extremes(found, "camera") is None, "one group has no gap"
