"""Two models on the same images: exact where it can be checked, and honest about chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from neocog.statistics.paired import compare, compare_outputs, mcnemar, resampled
from neocog.tasks.classification import metrics


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400), st.integers(0, 400))
def test_the_p_value_is_that_of_the_exact_binomial_test(wins, losses):
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(wins, losses) == pytest.approx(expected, abs=1e-9)


def test_equal_models_do_not_differ():
    right = np.random.default_rng(0).random(1000) < 0.9
    found = compare(right, right)
    assert (found.difference, found.p_value) == (0.0, 1.0) and -0.01 < found.low < 0 < found.high < 0.01


@pytest.mark.parametrize("share", [0.0, 0.9, 1.0])
def test_models_that_never_disagree_are_known_to_be_equal_only_as_far_as_there_are_images(share):
    widths = [compare(right, right).high for n in (10, 100, 1000) for right in [np.arange(n) < share * n]]
    assert widths == sorted(widths, reverse=True) and widths[0] > 0.1 and 0 < widths[-1] < 0.005


def test_only_images_that_tell_them_apart_count():
    right = np.ones(1000, bool)
    worse = right.copy()
    worse[:20] = False
    found = compare(right, worse)
    assert found.difference == 0.02 and found.p_value < 1e-5
    assert found.low < 0.02 < found.high and found.low > 0
    assert compare(worse, right).difference == -0.02


@pytest.mark.parametrize(("better", "expected"), [(5, False), (6, True)])  # 2 / 2^5 = 0.06, 2 / 2^6 = 0.03
def test_models_differ_from_the_first_score_that_chance_does_not_explain(better, expected):
    right = np.ones(1000, bool)
    worse = right.copy()
    worse[:better] = False
    assert (compare(right, worse).p_value < 0.05) is (compare(worse, right).p_value < 0.05) is expected


def test_chance_alone_is_called_better_as_rarely_as_promised():
    draw = np.random.default_rng(1)
    false_alarms = sum(compare(draw.random(500) < 0.9, draw.random(500) < 0.9).p_value < 0.05 for _ in range(400))
    assert false_alarms / 400 < 0.07


def answers(seed: int, *, right: float, n: int = 800) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, 5] of a model that is right so often, and the labels."""
    draw, labels = np.random.default_rng(seed), np.random.default_rng(7).integers(5, size=n)
    said = np.where(draw.random(n) < right, labels, (labels + 1) % 5)
    return np.eye(5, dtype=np.float32)[said], labels


def test_a_task_compares_right_and_wrong_as_mcnemar_does():
    (better, labels), (worse, _) = answers(1, right=0.9), answers(2, right=0.8)
    found = compare_outputs(metrics, better, worse, labels)
    assert found == compare(better.argmax(1) == labels, worse.argmax(1) == labels) and found.p_value < 0.01


@pytest.mark.parametrize(("right", "sure"), [(0.8, True), (0.9, False)])
def test_a_score_that_is_no_mean_is_compared_by_resampling_and_says_nearly_the_same_of_one_that_is(right, sure):
    (better, labels), (other, _) = answers(1, right=0.9), answers(2, right=right)
    exact = compare(metrics.scores(better, labels), metrics.scores(other, labels))
    found = resampled(lambda w: metrics.primary(better, labels, w) - metrics.primary(other, labels, w), len(labels))
    assert found.difference == pytest.approx(exact.difference)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.006)
    assert (found.p_value < 0.05) is (exact.p_value < 0.05) is sure
    again = resampled(lambda w: metrics.primary(better, labels, w) - metrics.primary(other, labels, w), len(labels))
    assert found == again, "the same seed gives the same numbers"


def test_agreement_lets_either_of_two_near_classes_stand_only_within_the_slack():
    expected = np.array([[1.0, 0.999], [1.0, 0.5], [0.0, 1.0]])
    answered = np.array([[0.999, 1.0], [0.5, 1.0], [0.0, 1.0]])
    assert metrics.agreement(expected, answered).tolist() == [False, False, True]
    assert metrics.agreement(expected, answered, slack=0.01).tolist() == [True, False, True]
    assert metrics.agreement(np.zeros((1, 2)), np.array([[0.0, 1.0]])).tolist() == [False], "a tie needs slack too"


def test_the_numbers_of_a_classifier_are_its_headlines_and_the_columns_have_a_direction():
    logits, labels = answers(3, right=0.9)
    found = metrics.numbers(logits, labels, bins=15)
    assert list(found) == ["top1", "top5", "macro_f1", "nll", "ece"]
    assert found["top1"] == metrics.primary(logits, labels) == metrics.scores(logits, labels).mean()
    assert {each.name: each.better for each in metrics.METRICS} == {"top1": 1, "top5": 1, "macro_f1": 1, "ece": -1}
