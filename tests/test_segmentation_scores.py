"""Scores of masks against plain reference computations, and the files that predictions are kept in."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

from neocog.tasks.segmentation import IGNORED, confusion, examples, metrics, objective, predictions, respond, tables
from neocog.tasks.segmentation.evaluate import evaluate
from neocog.tasks.task import EvaluationContext

CLASSES = ("ground", "cat", "dog", "owl")


@pytest.fixture(scope="module")
def masks() -> tuple[np.ndarray, np.ndarray]:
    """Masks given and right ones, 30 images of rectangles, some pixels ignored."""
    chance = np.random.default_rng(0)
    own = np.zeros((30, 24, 32), np.uint8)
    for mask in own:
        for label in chance.integers(1, 4, 2).tolist():
            top, left = chance.integers(0, 16, 2).tolist()
            mask[top : top + 8, left : left + 10] = label
    given = np.roll(own, 1, axis=2)
    wrong = chance.random(own.shape) < 0.02
    given[wrong] = chance.integers(0, 4, wrong.sum())
    own[:, :, :2] = IGNORED
    return given, own


def test_scores_are_those_of_scikit_learn(masks: tuple[np.ndarray, np.ndarray]) -> None:
    given, own = masks
    judged = own != IGNORED
    found = metrics.numbers(given, own, bins=10)
    assert found["miou"] == pytest.approx(jaccard_score(own[judged], given[judged], average="macro"), abs=1e-12)
    assert found["dice"] == pytest.approx(f1_score(own[judged], given[judged], average="macro"), abs=1e-12)
    assert found["pixel_accuracy"] == pytest.approx((own == given)[judged].mean(), abs=1e-12)
    assert metrics.primary(given, own) == found["miou"]
    each = metrics.scores(given, own)
    assert each[3] == pytest.approx(jaccard_score(own[3][judged[3]], given[3][judged[3]], average="macro"))
    assert each.mean() != pytest.approx(found["miou"], abs=1e-4), "a control: a mean of images is another number"
    once, twice = metrics.primary(given[[0, 1, 1]], own[[0, 1, 1]]), np.array([1, 2] + [0] * 28)
    assert metrics.scorer(given, own)(twice) == pytest.approx(once)


def test_while_training_batches_add_up_to_the_same(masks: tuple[np.ndarray, np.ndarray]) -> None:
    given, own = (torch.from_numpy(each) for each in masks)
    outputs = torch.nn.functional.one_hot(given.long(), 4).movedim(-1, 1).float()
    total = sum(objective.sums(outputs[part], own[part]) for part in (slice(0, 7), slice(7, None)))
    found = objective.means(total)
    assert found["miou"] == pytest.approx(metrics.primary(*masks), abs=1e-12)
    assert found["loss"] == pytest.approx(float(objective.loss(outputs, own)), rel=1e-5)


def test_the_boundary_f_is_that_of_distances(masks: tuple[np.ndarray, np.ndarray]) -> None:
    given, own = masks
    near = np.zeros((4, 4))
    for answered, right in zip(np.where(own == IGNORED, IGNORED, given), own, strict=True):
        for label in range(4):
            lines = []
            for mask in (answered == label, right == label):
                line = []
                for y, x in np.argwhere(mask).tolist():
                    beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                    if any(0 <= a < 24 and 0 <= b < 32 and not mask[a, b] for a, b in beside):
                        line.append((y, x))
                lines.append(np.array(line).reshape(-1, 2))
            apart = np.abs(lines[0][:, None] - lines[1][None]).max(axis=2) <= 1
            near[label] += apart.any(axis=1).sum(), len(lines[0]), apart.any(axis=0).sum(), len(lines[1])
    precision, recall = near[:, 0] / near[:, 1], near[:, 2] / near[:, 3]
    expected = (2 * precision * recall / (precision + recall)).mean()
    assert metrics.numbers(given, own, bins=10)["boundary_f"] == pytest.approx(expected, abs=1e-12)
    assert expected < 1


def test_classes_that_are_nowhere_do_not_count_and_those_falsely_given_do() -> None:
    own = np.zeros((1, 4, 4), np.uint8)
    assert metrics.primary(own, own) == 1
    assert metrics.primary(own + 5, own) == 0
    half = own.copy()
    half[0, :2] = 3
    assert metrics.primary(half, own) == pytest.approx((0.5 + 0) / 2)
    assert metrics.primary(half, np.full_like(own, IGNORED)) == 1
    assert confusion.confusion(half, own, classes=4).sum() == 16


def test_evaluation_writes_its_tables_and_predictions_come_back(
    masks: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    given, own = masks
    judged = predictions.of(given, ids=np.array([f"i{n}" for n in range(30)]), targets=own, card={})
    predictions.write(tmp_path / "predictions.parquet", judged)
    again = predictions.read(tmp_path / "predictions.parquet")
    for name in ("ids", "targets", "outputs"):
        np.testing.assert_array_equal(getattr(again, name), getattr(judged, name))
    for name in ("tables", "curves", "counts"):
        (tmp_path / name).mkdir()
    columns = {"camera": ["left", "right"] * 15}
    context = EvaluationContext(CLASSES, {}, columns, bins=10, bootstrap=30, seed=0)
    found = evaluate(given, judged, context, tmp_path)
    for metric in metrics.METRICS:
        assert found[f"{metric.name}_low"] <= found[metric.name] <= found[f"{metric.name}_high"]
    assert metrics.sentence(found).startswith("mean IoU ")
    rows = tables.class_rows(judged, CLASSES)
    assert np.mean([row[1] for row in rows]) == pytest.approx(found["miou"], abs=1e-6)
    assert (tmp_path / "tables/groups.csv").read_text().count("camera") == 2
    chosen = examples.choose(judged, images=4)
    assert len({row for rows in chosen.values() for row in rows}) == sum(map(len, chosen.values())) == 12
    assert min(judged.scores) == judged.scores[chosen[examples.WORST][0]]


def test_an_answer_says_which_class_is_where() -> None:
    card = {"classes": CLASSES, "input": {"size": [2, 4]}}
    mask = np.array([[0, 0, 2, 2], [0, 0, 0, 2]], np.uint8)
    (answer,) = respond.answers(respond.calibrated(mask[None], card=card), card=card)
    assert answer == {
        "size": [2, 4],
        "classes": [
            {"label": "ground", "share": 0.625, "runs": [0, 2, 4, 3]},
            {"label": "dog", "share": 0.375, "runs": [2, 2, 7, 1]},
        ],
    }
    assert respond.text(mask, card=card, top=5) == "ground 62.5%, dog 37.5%"
    assert respond.cells(mask, card=card, top=1) == ["ground", "0.625000", "0 2 4 3"]
    assert (respond.output_shape(card), respond.output_shape({"input": {"size": 3}})) == ((2, 4), (3, 3))


def test_agreement_is_the_share_of_equal_pixels(masks: tuple[np.ndarray, np.ndarray]) -> None:
    given, _ = masks
    other = given.copy()
    other[0, 0, :8] += 1
    assert metrics.agreement(given, other)[:2].tolist() == [1 - 8 / (24 * 32), 1]


def test_pictures_of_the_report_show_image_and_both_masks_side_by_side() -> None:
    from neocog.tasks.segmentation.chapters.masks import SIDE, side_by_side

    image = np.full((8, 8, 1), 100, np.uint8)
    own, given = np.zeros((2, 8, 8), np.uint8)
    own[:4], own[4:6], given[:, :4] = 1, IGNORED, 1
    found = side_by_side(image, (own, given), ("background", "cat"))
    assert found.shape == (SIDE, 3 * SIDE + 2 * 2, 3)
    parts = [found[:, start : start + SIDE] for start in (0, SIDE + 2, 2 * SIDE + 4)]
    plain, cat = parts[0][0, 0], parts[1][0, 0]
    assert (parts[0] == plain).all()
    assert (parts[2][:, : SIDE // 2] == cat).all()
    assert (parts[2][:, SIDE // 2 :] == plain).all()
    assert (parts[1][-1] == plain).all()
    assert not (cat == plain).all()
    assert parts[1][SIDE * 5 // 8, 0].min() > plain.max(), "ignored pixels are white"
