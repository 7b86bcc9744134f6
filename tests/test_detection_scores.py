"""Detection's average precision: that of pycocotools where it is installed, and what can be told without it."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest

from neocog.tasks.detection import metrics
from neocog.tasks.detection.average_precision import SIZES, curves, mean_of

CLASSES = 4


def drawn(images: int, *, seed: int = 0, most: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Detections [N, 12, 6] and targets [N, most, 5]: some objects found, some twice, some not, and some that are none."""
    chance = np.random.default_rng(seed)
    targets = np.zeros((images, most, 5), np.float32)
    targets[..., 4] = -1
    detections = np.zeros((images, 12, 6), np.float32)
    for own, found in zip(targets, detections, strict=True):
        count = chance.integers(0, most + 1)
        corner, sides = chance.uniform(0, 150, (count, 2)), chance.uniform(8, 120, (count, 2))
        own[:count, :4] = np.hstack([corner, corner + sides])
        own[:count, 4] = chance.integers(0, CLASSES, count)
        rows = []
        for box in own[:count]:
            for _ in range(chance.integers(0, 3)):
                label = box[4] if chance.random() < 0.8 else chance.integers(CLASSES)
                moved = box[:4] + chance.normal(0, 0.06, 4) * np.tile(box[2:4] - box[:2], 2)
                rows.append([*moved, chance.integers(1, 100) / 100, label])
        for _ in range(chance.integers(0, 3)):
            corner = chance.uniform(0, 150, 2)
            rows.append(
                [*corner, *corner + chance.uniform(8, 120, 2), chance.integers(1, 60) / 100, chance.integers(CLASSES)]
            )
        rows = sorted(rows[:12], key=lambda row: -row[4])
        found[: len(rows)] = np.reshape(rows, (-1, 6))
    return detections, targets


def reference(detections: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The twelve figures of pycocotools."""
    coco, judge = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")

    def entry(row: np.ndarray, image: int) -> dict[str, object]:
        x1, y1, x2, y2 = row[:4].astype(float).tolist()
        return {"image_id": image, "category_id": int(row[-1]), "bbox": [x1, y1, x2 - x1, y2 - y1]}

    objects = [entry(row, i) for i, own in enumerate(targets) for row in own if row[4] >= 0]
    for number, each in enumerate(objects, 1):
        each |= {"id": number, "iscrowd": 0, "area": each["bbox"][2] * each["bbox"][3]}  # type: ignore[index]
    found = [entry(row, i) | {"score": float(row[4])} for i, own in enumerate(detections) for row in own if row[4] > 0]
    with redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [{"id": i} for i in range(len(targets))],
            "categories": [{"id": k} for k in range(CLASSES)],
            "annotations": objects,
        }
        truth.createIndex()
        judged = judge.COCOeval(truth, truth.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return np.asarray(judged.stats)


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    detections, targets = drawn(150, seed=seed)
    expected = reference(detections, targets)
    ours = [
        metrics.primary(detections, targets),
        *(metrics.numbers(detections, targets, bins=1)[n] for n in ("ap50", "ap75")),
    ]
    np.testing.assert_allclose(ours, expected[:3], atol=1e-9)
    by_size = [mean_of(curves(detections, targets, size=size).scores()[0]) for size in list(SIZES)[1:]]
    np.testing.assert_allclose(by_size, expected[3:6], atol=1e-9)
    np.testing.assert_allclose(metrics.numbers(detections, targets, bins=1)["ar"], expected[8], atol=1e-9)
    assert 0.1 < ours[0] < 0.9, "a control: these detections are neither all right nor all wrong"


def test_an_image_counted_twice_is_that_image_twice() -> None:
    detections, targets = drawn(40)
    weights = np.arange(40) % 3
    again = np.repeat(np.arange(40), weights)
    assert metrics.primary(detections, targets, weights) == pytest.approx(
        metrics.primary(detections[again], targets[again]), abs=0.01
    )  # copies of a detection are of equal score, and stand in another order


@pytest.mark.parametrize(("objects", "found", "score"), [(0, 0, 0.0), (1, 0, 0.0), (0, 1, 0.0), (1, 1, 1.0)])
def test_images_with_and_without_objects_and_detections(objects: int, found: int, score: float) -> None:
    targets, detections = np.zeros((2, 1, 5), np.float32), np.zeros((2, 3, 6), np.float32)
    targets[..., 4] = -1
    if objects:
        targets[0, 0] = [1, 2, 11, 22, 1]
    if found:
        detections[0, 0] = [1, 2, 11, 22, 0.9, 1]
    assert metrics.primary(detections, targets) == score
    assert metrics.scores(detections, targets).tolist() == [float(objects == found), 1.0]


def test_two_models_agree_on_what_both_find() -> None:
    one = np.zeros((1, 3, 6), np.float32)
    one[0, :2] = [[0, 0, 10, 10, 0.9, 1], [20, 20, 30, 30, 0.8, 2]]
    moved, other_class, weaker = one.copy(), one.copy(), one.copy()
    moved[0, 0, :4] += 8
    other_class[0, 0, 5] = 2
    weaker[0, 0, 4] = 0.05
    assert metrics.agreement(one, one).tolist() == [1.0]
    assert metrics.agreement(one, np.roll(one, 1, axis=1)).tolist() == [1.0]
    for other in (moved, other_class):
        assert metrics.agreement(one, other).tolist() == [0.5]
    assert metrics.agreement(one, weaker).tolist() == [pytest.approx(2 / 3)]
    assert metrics.difference(one, np.roll(one, 1, axis=1)) == 0.0
    assert metrics.difference(one, one + 0.25 * (one[..., 4:5] > 0) * [1, 1, 1, 1, 0, 0]) == pytest.approx(0.25)


def test_the_threshold_is_where_f1_is_best() -> None:
    targets, detections = np.zeros((4, 1, 5), np.float32), np.zeros((4, 2, 6), np.float32)
    targets[:, 0] = [0, 0, 10, 10, 0]
    detections[:, 0] = [0, 0, 10, 10, 0.6, 0]
    detections[:, 1] = [50, 50, 60, 60, 0.4, 0]
    (threshold,) = metrics.calibrate(detections, targets).values()
    assert threshold == pytest.approx(0.5)
