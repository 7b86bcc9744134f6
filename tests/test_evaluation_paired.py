"""Two models on the same images: exact where it can be checked, and honest about chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from neocog.statistics.paired import compare, differ, mcnemar


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
    assert differ(right, worse) is differ(worse, right) is expected


def test_chance_alone_is_called_better_as_rarely_as_promised():
    draw = np.random.default_rng(1)
    false_alarms = sum(compare(draw.random(500) < 0.9, draw.random(500) < 0.9).p_value < 0.05 for _ in range(400))
    assert false_alarms / 400 < 0.07
