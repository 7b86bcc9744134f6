"""Wrong labels and images seen before: known answers, and real digits with errors and copies put in."""

from time import process_time

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.evaluation import duplicates, predictions
from neocog.evaluation.duplicates import near_duplicates
from neocog.tasks.classification import label_errors
from neocog.tasks.classification import predictions as class_predictions


def test_confident_learning_by_hand():
    # Labelled 0: surely 0, surely 1, unsure. Labelled 1: surely 1 twice. Thresholds: (0.9 + 0.1 + 0.5) / 3 and (0.8 + 0.9) / 2.
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.49, 0.51], [0.1, 0.9], [0.14, 0.86]])
    given_ = np.array([0, 0, 0, 1, 1])
    assert label_errors.thresholds(probabilities, given_) == pytest.approx([1.49 / 3, 0.88])
    assert label_errors.confident(probabilities, given_).tolist() == [0, 1, -1, 1, -1]
    np.testing.assert_allclose(label_errors.joint(probabilities, given_), [[0.3, 0.3], [0, 0.4]])
    assert label_errors.noise(probabilities, given_) == pytest.approx(0.3)
    (suspect,) = label_errors.suspects(probabilities, given_)
    assert (suspect.row, suspect.label, suspect.suggested) == (1, 0, 1) and suspect.margin == pytest.approx(-0.8)


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(2, 6), st.integers(1, 60))
def test_the_joint_is_a_distribution_with_the_labels_as_they_are(seed, classes, n):
    draw = np.random.default_rng(seed)
    given_ = draw.integers(classes, size=n)  # some class may have no image
    found = label_errors.joint(draw.dirichlet(np.ones(classes), n), given_)
    assert (found >= 0).all() and found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.sum(axis=1), np.bincount(given_, minlength=classes) / n, atol=1e-12)


@given(st.integers(0, 500))
def test_suspects_are_ranked_and_never_suggested_what_they_are_called(seed):
    draw = np.random.default_rng(seed)
    probabilities, given_ = draw.dirichlet(np.ones(4), 50), draw.integers(4, size=50)
    found = label_errors.suspects(probabilities, given_)
    assert [each.margin for each in found] == sorted(each.margin for each in found)
    assert all(each.label == given_[each.row] != each.suggested for each in found)


def test_who_is_never_wrong_suspects_nobody():
    given_ = np.arange(30) % 3
    sure = np.full((30, 3), 0.05) + 0.85 * np.eye(3)[given_]
    assert label_errors.suspects(sure, given_) == [] and label_errors.noise(sure, given_) == 0


def test_wrong_labels_put_into_real_digits_are_found_first(tmp_path):
    data = tiny.digits(tmp_path / "data")
    bundle = tiny.train(tmp_path, data, "mlp", architecture="mlp", hidden=300, epochs=20)
    val = data.split("val")
    draw = np.random.default_rng(0)
    flipped = draw.choice(len(val.targets), 30, replace=False)
    spoilt = val.targets.copy()
    spoilt[flipped] = (spoilt[flipped] + draw.integers(1, 10, 30)) % 10
    probabilities = class_predictions.of(
        predictions.outputs(bundle, val.images, batch_size=256), ids=val.ids, targets=spoilt
    ).probabilities
    found = [suspect.row for suspect in label_errors.suspects(probabilities, spoilt)]
    hits = len(set(found) & set(flipped))
    assert hits >= 18 and hits >= 0.85 * len(found)
    assert set(found[:15]) <= set(flipped), "the surest are right"
    assert label_errors.noise(probabilities, spoilt) == pytest.approx(30 / len(spoilt), abs=0.02)
    assert len(label_errors.suspects(probabilities, val.targets)) < 5, "the control: without flips few are suspected"


def slowly(splits: dict[str, np.ndarray], within: float) -> list[tuple[str, int, str, int, float]]:
    """The same by comparing every pixel of every pair."""
    found, names = [], list(splits)
    for i, later in enumerate(names):
        for earlier in names[:i]:
            a, b = (splits[name].reshape(len(splits[name]), -1).astype(float) for name in (later, earlier))
            distances = np.sqrt(((a[:, None] - b) ** 2).mean(axis=2))
            for row, other in enumerate(distances.argmin(axis=1)):
                if distances[row, other] <= within:
                    found.append((later, row, earlier, int(other), float(distances[row, other])))
    return sorted(found, key=lambda pair: (pair[4], pair[0], pair[1]))


@pytest.mark.parametrize("within", [0.0, 15.0, 30.0, 60.0])
def test_exactly_the_pairs_that_every_pixel_tells_are_found(digits, within, monkeypatch):
    splits = {name: np.asarray(digits.split(name).images[:150]) for name in ("train", "val", "test")}
    splits["test"] = np.concatenate([splits["test"], splits["train"][7:9]])
    monkeypatch.setattr(duplicates, "BLOCK", 150 * 13)  # many blocks, the last of them short
    found = near_duplicates(splits, within=within)
    known = slowly(splits, within)
    assert [pair.distance for pair in found] == pytest.approx([pair[4] for pair in known])
    assert [(pair.split, pair.row, pair.other) for pair in found] == [pair[:3] for pair in known]
    assert found[0].distance == 0 and (len(found) > 10 or within < 60)


def test_a_copy_with_a_little_noise_is_found_and_said_to_be_as_far_as_it_is():
    draw = np.random.default_rng(0)
    train = draw.integers(0, 256, (200, 13, 11, 3), dtype=np.uint8)
    test = draw.integers(0, 256, (50, 13, 11, 3), dtype=np.uint8)
    test[4] = np.clip(train[150].astype(int) + draw.integers(-3, 4, train[150].shape), 0, 255)
    (pair,) = near_duplicates({"train": train, "test": test}, within=10)
    assert (pair.split, pair.row, pair.other, pair.other_row) == ("test", 4, "train", 150)
    assert pair.distance == pytest.approx(np.sqrt(((test[4].astype(float) - train[150]) ** 2).mean()))


def test_empty_splits_and_images_all_alike_are_no_trouble():
    black = np.zeros((300, 8, 8, 1), np.uint8)
    found = near_duplicates({"train": black, "val": black[:0], "test": black[:40]}, within=1)
    assert [(pair.row, pair.distance) for pair in found] == [(row, 0.0) for row in range(40)]


def test_thousands_of_images_of_28_pixels_take_less_than_a_second_or_two():
    draw = np.random.default_rng(0)
    many = draw.integers(0, 256, (6000, 7, 7, 1), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    started = process_time()
    found = near_duplicates({"train": many[:5000], "test": many[4990:]}, within=5)
    assert process_time() - started < 4
    assert len(found) == 10
