"""Calibration error and likelihood: known answers, and the cases in which they must be zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import log_loss

from neocog.tasks.classification.calibration import expected_calibration_error, log_softmax, negative_log_likelihood


def test_calibration_error_of_two_bins_by_hand():
    # 0.9 four times with 3 right: a gap of 0.15; 0.6 twice with 0 right: a gap of 0.6. (4 x 0.15 + 2 x 0.6) / 6
    confidence = np.array([0.9] * 4 + [0.6] * 2)
    correct = np.array([1, 1, 1, 0, 0, 0], bool)
    assert expected_calibration_error(confidence, correct, bins=10) == pytest.approx(0.3)


def test_an_edge_belongs_to_the_bin_below_it():
    confidence, correct = np.array([0.5, 0.6]), np.array([True, False])
    apart = (0.5 + 0.6) / 2  # 0.5 ends the first of two bins, 0.6 is in the second
    assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx(apart)
    assert expected_calibration_error(confidence, correct, bins=1) == pytest.approx(0.05)


def test_who_says_how_often_it_is_right_has_no_error_and_who_boasts_has():
    correct = np.arange(1000) % 10 < 8
    assert expected_calibration_error(np.full(1000, 0.8), correct, bins=15) == pytest.approx(0)
    assert expected_calibration_error(np.full(1000, 1.0), correct, bins=15) == pytest.approx(0.2)


@given(st.integers(0, 1000))
def test_weights_count_images_as_often_as_they_were_drawn(seed):
    draw = np.random.default_rng(seed)
    confidence, correct = draw.random(40), draw.random(40) < 0.5
    rows = draw.integers(40, size=40)
    weighed = expected_calibration_error(confidence, correct, bins=5, weights=np.bincount(rows, minlength=40))
    assert weighed == pytest.approx(expected_calibration_error(confidence[rows], correct[rows], bins=5))
    assert 0 <= weighed <= 1


@given(arrays(np.float32, (5, 4), elements=st.floats(-1e4, 1e4, width=32)))
def test_probabilities_sum_to_one_however_large_the_logits(logits):
    assert np.exp(log_softmax(logits)).sum(axis=1) == pytest.approx(1)


def test_likelihood_is_scikit_learns():
    draw = np.random.default_rng(0)
    logits, labels = draw.normal(size=(100, 5)), draw.integers(5, size=100)
    known = log_loss(labels, np.exp(log_softmax(logits)), labels=range(5))
    assert negative_log_likelihood(logits, labels) == pytest.approx(known)
