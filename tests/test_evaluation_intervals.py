"""Intervals: as wide as theory says, around the score, the same for the same seed, and quick."""

from time import process_time

import numpy as np
import pytest

from neocog.statistics.intervals import bootstrap, wilson
from neocog.tasks.classification.metrics import FRACTIONS, headlines, sentence


def logits_of(n: int, *, classes: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model that is right some of the time and whose probabilities are those it was drawn from."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(n, classes)) * 3
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chance.cumsum(axis=1) < draw.random((n, 1))).sum(axis=1)
    return logits.astype(np.float32), labels.clip(max=classes - 1)


def test_the_interval_of_a_share_is_that_of_the_binomial():
    hits = np.arange(2000) % 10 < 9
    low, high = bootstrap(lambda w: np.array([(w @ hits) / w.sum()]), 2000, resamples=2000, seed=0)
    half = 1.96 * (0.9 * 0.1 / 2000) ** 0.5
    assert low[0] == pytest.approx(0.9 - half, abs=0.0015)
    assert high[0] == pytest.approx(0.9 + half, abs=0.0015)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    draw = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        hits = draw.random(300) < 0.7
        low, high = bootstrap(lambda w, hits=hits: np.array([(w @ hits) / w.sum()]), 300, resamples=200, seed=seed)
        held += low[0] <= 0.7 <= high[0]
    assert 180 <= held <= 199


@pytest.mark.parametrize("n", [1, 2, 20, 500])
def test_every_headline_lies_in_its_interval_and_the_interval_between_0_and_1(n):
    logits, labels = logits_of(n)
    scores = headlines(logits, labels, bins=15, resamples=200, seed=0)
    for name in FRACTIONS:
        assert 0 <= scores[f"{name}_low"] <= scores[name] <= scores[f"{name}_high"] <= 1


def test_calibration_error_of_a_calibrated_model_is_not_pushed_out_of_its_interval():
    logits, labels = logits_of(4000)
    scores = headlines(logits, labels, bins=15, resamples=300, seed=0)
    assert scores["ece_low"] < scores["ece"] < scores["ece_high"]  # strictly: not merely stretched to hold it


def test_top5_of_fewer_than_five_classes_is_of_them_all():
    logits, labels = logits_of(100, classes=3)
    assert headlines(logits, labels, bins=15, resamples=10, seed=0)["top5"] == 1


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    logits, labels = logits_of(300)
    first, again, other = (headlines(logits, labels, bins=15, resamples=100, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first["macro_f1_low"] != other["macro_f1_low"]


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("n", [1, 10, 300])
def test_no_interval_is_without_width_where_every_image_is_right_or_wrong(right, n):
    labels = np.arange(n) % 3
    logits = 8 * np.eye(6, dtype=np.float32)[labels if right else labels + 3]
    scores = headlines(logits, labels, bins=15, resamples=50, seed=0)
    assert scores["top1"] == right
    low, high = wilson(n * right, n)
    for name in ("top1", "macro_f1"):
        assert (scores[f"{name}_low"], scores[f"{name}_high"]) == pytest.approx((low, high))
    assert scores["top5_high"] - scores["top5_low"] > 1 / (n + 4)
    assert scores["ece_high"] - scores["ece_low"] > 0.9 / (n + 4)


def test_ten_of_ten_may_be_seven_of_ten():
    scores = headlines(9 * np.eye(10, 3, dtype=np.float32), np.r_[:3, [0] * 7], bins=15, resamples=50, seed=0)
    assert scores["top1"] == 1 and scores["top1_low"] == pytest.approx(0.7225, abs=1e-4)


def test_a_thousand_resamples_of_ten_thousand_images_take_seconds():
    logits, labels = logits_of(10_000)
    started = process_time()
    headlines(logits, labels, bins=15, resamples=1000, seed=0)
    assert process_time() - started < 4


def test_the_sentence_names_the_score_and_its_interval():
    scores = {f"{name}{end}": 0.5 for name in FRACTIONS for end in ("", "_low", "_high")} | {"top1": 0.9312}
    assert sentence(scores).startswith("top-1 93.1 % (50.0 - 50.0), macro-F1 50.0 %")
