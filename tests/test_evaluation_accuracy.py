"""Top-k, F1 and the confusion matrix are those of scikit-learn; weights are the same as drawing images again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from neocog.tasks.classification import accuracy

CLASSES = 7


@pytest.fixture(scope="module")
def judged() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions that are right about half of the time (never of the last class), and scores."""
    draw = np.random.default_rng(0)
    labels = draw.integers(CLASSES, size=400)
    scores = draw.normal(size=(400, CLASSES)) + 2 * np.eye(CLASSES)[labels]
    scores[:, -1] = -9
    return labels, scores.argmax(axis=1), scores


@pytest.mark.parametrize("k", [1, 2, 5, CLASSES])
def test_top_k_is_scikit_learns(judged, k):
    labels, _, scores = judged
    ours = accuracy.share(accuracy.within(k, scores=scores, labels=labels))
    known = metrics.top_k_accuracy_score(labels, scores, k=k, labels=range(CLASSES)) if k < CLASSES else 1.0
    assert ours == pytest.approx(known)


def test_top_1_agrees_with_argmax_where_scores_tie():
    scores = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
    for label in range(3):
        labels = np.full(3, label)
        assert (accuracy.within(1, scores=scores, labels=labels) == (scores.argmax(axis=1) == labels)).all()


def test_confusion_matrix_and_scores_by_class_are_scikit_learns(judged):
    labels, predicted, _ = judged
    assert (
        accuracy.confusion(labels, predicted, num_classes=CLASSES) == metrics.confusion_matrix(labels, predicted)
    ).all()
    by_class = accuracy.counts(labels, predicted, num_classes=CLASSES)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(labels, predicted, zero_division=np.nan)
    np.testing.assert_allclose(by_class.precision(), precision)
    np.testing.assert_allclose(by_class.recall(), recall)
    np.testing.assert_allclose(by_class.f1(), f1)
    np.testing.assert_array_equal(by_class.actual, support)
    assert np.isnan(by_class.precision()[-1])  # the control: nothing was ever called the last class


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_macro_f1_is_scikit_learns(pairs):
    labels, predicted = np.array(pairs).T
    assert accuracy.macro_f1(labels, predicted, num_classes=5) == pytest.approx(
        metrics.f1_score(labels, predicted, average="macro", zero_division=0)
    )


@given(st.integers(0, 1000))
def test_weights_count_images_as_often_as_they_were_drawn(seed):
    draw = np.random.default_rng(seed)
    labels, predicted = draw.integers(4, size=(2, 30))
    rows = draw.integers(30, size=30)
    weights = np.bincount(rows, minlength=30)
    weighed = accuracy.macro_f1(labels, predicted, num_classes=4, weights=weights)
    assert weighed == pytest.approx(accuracy.macro_f1(labels[rows], predicted[rows], num_classes=4))
    hits = labels == predicted
    assert accuracy.share(hits, weights=weights) == pytest.approx(accuracy.share(hits[rows]))
