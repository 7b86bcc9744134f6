"""Average precision, F1, subset accuracy and Hamming loss are scikit-learn's; thresholds are the best; the loss is torch's."""

import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn

from neocog.core.errors import UserError
from neocog.tasks.multilabel import f1, metrics, objective, respond, thresholds
from neocog.tasks.multilabel.average_precision import Ranking


def drawn(seed: int, *, levels: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Scores [N, K] of few `levels`, so that there are ties, and targets [N, K], which they follow somewhat."""
    chance = np.random.default_rng(seed)
    images, labels = chance.integers(5, 60), chance.integers(2, 6)
    targets = chance.random((images, labels)) < chance.uniform(0.05, 0.9, labels)
    scores = np.floor((chance.random((images, labels)) + 0.3 * targets) / 1.3 * levels) / levels
    return scores.astype(np.float32), targets


@pytest.mark.parametrize("levels", [2, 10, 1000])
@pytest.mark.parametrize("seed", range(20))
def test_average_precision_is_that_of_scikit_learn_also_with_ties_and_weights(seed: int, levels: int) -> None:
    scores, targets = drawn(seed, levels=levels)
    weights = np.random.default_rng(seed).integers(0, 4, len(scores))
    for given in (None, weights):
        found = Ranking.of(scores, targets).average_precision(given)
        for label in range(scores.shape[1]):
            if (targets[:, label] * (1 if given is None else given)).any():
                theirs = sklearn.average_precision_score(targets[:, label], scores[:, label], sample_weight=given)
                assert found[label] == pytest.approx(theirs, abs=1e-12)
            else:
                assert np.isnan(found[label])
    if targets.any(axis=0).all():
        theirs = sklearn.average_precision_score(targets, scores, average="macro")
        assert Ranking.of(scores, targets).mean() == pytest.approx(theirs, abs=1e-12)


def test_ties_are_passed_together() -> None:  # the control: a ranking that broke ties by place would say 1.0
    assert Ranking.of(np.ones((4, 1)), np.array([[True], [False], [False], [False]])).mean() == 0.25


def test_no_label_at_all_scores_nothing() -> None:
    assert Ranking.of(np.ones((4, 2)), np.zeros((4, 2), bool)).mean() == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_decisions_are_scored_as_by_scikit_learn(seed: int) -> None:
    scores, targets = drawn(seed)
    given, weights = scores > 0.5, np.random.default_rng(seed).integers(1, 4, len(scores))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for own in (None, weights):
            counted = f1.counts(targets, given, own)
            each = sklearn.f1_score(targets, given, average=None, sample_weight=own, zero_division=np.nan)
            np.testing.assert_allclose(counted.f1(), each)
            np.testing.assert_allclose(
                counted.micro_f1(), sklearn.f1_score(targets, given, average="micro", sample_weight=own)
            )
            theirs = sklearn.accuracy_score(targets, given, sample_weight=own)
            assert f1.subset_accuracy(targets, given, own) == pytest.approx(theirs)
            theirs = sklearn.hamming_loss(targets, given, sample_weight=own)
            assert f1.hamming_loss(targets, given, own) == pytest.approx(theirs)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_has_a_better_f1(seed: int) -> None:
    scores, targets = drawn(seed, levels=20)
    found = thresholds.fit(scores, targets)
    own = f1.counts(targets, thresholds.decide(scores, found)).f1()
    for other in np.arange(0, 1.03, 0.025):
        f1_there = f1.counts(targets, thresholds.decide(scores, [other] * len(found))).f1()
        assert (np.nan_to_num(own, nan=1) >= np.nan_to_num(f1_there) - 1e-12)[targets.any(axis=0)].all()
    assert all(value == 0.5 for value, seen in zip(found, targets.any(axis=0), strict=True) if not seen)


def test_the_loss_is_binary_cross_entropy_and_smoothing_draws_targets_to_a_half() -> None:
    logits, targets = torch.randn(7, 3), torch.rand(7, 3) < 0.4
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float())
    torch.testing.assert_close(objective.loss(logits, targets), theirs)
    torch.testing.assert_close(objective.loss(logits, targets, reduction="none").mean(), theirs)
    smooth = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float() * 0.8 + 0.1)
    torch.testing.assert_close(objective.loss(logits, targets, label_smoothing=0.2), smooth)


@pytest.mark.parametrize("parts", [1, 3])
def test_what_is_watched_adds_up_over_batches(parts: int) -> None:
    chance = torch.Generator().manual_seed(parts)
    logits, targets = 4 * torch.randn(90, 5, generator=chance), torch.rand(90, 5, generator=chance) < 0.3
    batches = zip(logits.chunk(parts), targets.chunk(parts), strict=True)
    total = sum((objective.sums(a, b) for a, b in batches), torch.zeros(()))
    assert isinstance(total, torch.Tensor)
    found = objective.means(total)
    assert found["loss"] == pytest.approx(float(objective.loss(logits, targets)), rel=1e-5)
    step = (objective.BINS - 1) / (2 * objective.REACH)
    binned = ((logits + objective.REACH) * step).round().numpy()
    theirs = sklearn.average_precision_score(targets.numpy(), binned, average="macro")
    assert found["map"] == pytest.approx(theirs, abs=1e-12)
    exact = sklearn.average_precision_score(targets.numpy(), logits.numpy(), average="macro")
    assert found["map"] == pytest.approx(exact, abs=0.01)


def test_headlines_hold_their_scores_and_the_best_model_has_them_all() -> None:
    scores, targets = drawn(3)
    found = metrics.headlines(scores, targets, thresholds=thresholds.fit(scores, targets), resamples=200, seed=0)
    assert [name for name in found if not name.endswith(("_low", "_high"))] == [each.name for each in metrics.METRICS]
    for metric in metrics.METRICS:
        low, score, high = (found[f"{metric.name}{end}"] for end in ("_low", "", "_high"))
        assert 0 <= low <= score <= high <= 1
    assert found["map_high"] - found["map_low"] > 0.01
    assert metrics.primary(scores, targets) == found["map"]
    perfect = metrics.headlines(targets * 0.9, targets, thresholds=[0.5] * targets.shape[1], resamples=20, seed=0)
    assert [perfect[metric.name] for metric in metrics.METRICS] == [1, 1, 1, 1, 0]
    assert metrics.sentence(perfect).startswith("mAP 100.0 % (100.0 - 100.0), micro-F1 100.0 %")


def test_agreement_is_the_share_of_decisions_alike() -> None:
    one, other = np.array([[0.9, 0.1], [0.6, 0.4999]]), np.array([[0.8, 0.7], [0.9, 0.5001]])
    assert metrics.agreement(one, other).tolist() == [0.5, 0.5]
    assert metrics.agreement(one, other, slack=0.001).tolist() == [0.5, 1.0]  # too near to call
    assert metrics.scores(one, np.array([[True, False], [True, True]])).tolist() == [1.0, 0.5]


def test_answers_are_the_labels_above_their_own_thresholds() -> None:
    card = {"classes": ["sea", "sand", "people"], "thresholds": [0.5, 0.2, 0.8]}
    said = respond.calibrated(np.array([[0.6, 0.25, 0.7], [0.1, 0.1, 0.1]], np.float32), card=card)
    found = respond.answers(said, card=card)
    assert [answer["labels"] for answer in found] == [["sea", "sand"], []]
    assert list(found[0]["probabilities"]) == ["people", "sea", "sand"]
    assert respond.text(said[0], card=card, top=3) == "sea 60.0%, sand 25.0%"
    assert respond.text(said[1], card=card, top=3) == "no label"
    assert respond.entries(said[0], card=card, top=1) == [{"label": "sea", "probability": pytest.approx(0.6)}]
    assert respond.cells(said[0], card=card, top=3) == ["sea;sand", "0.600000;0.250000"]
    assert respond.target(said[0], card=card, name=None, model="m").name == "people"
    with pytest.raises(UserError, match="--of se: m knows no such label; did you mean 'sea'"):
        respond.target(said[0], card=card, name="se", model="m")
