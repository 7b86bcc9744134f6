"""What is said of detections: answers, predictions.parquet, right, missed and false boxes, types of errors, and the tables of them."""

import csv
from pathlib import Path

import numpy as np
import pytest

from neocog.core.errors import UserError
from neocog.tasks.detection import errors, examples, predictions, respond, tables
from neocog.tasks.detection.predictions import Predictions

CARD = {"classes": ["cat", "dog"], "threshold": 0.5}
TARGETS = np.array(
    [
        [[0, 0, 10, 10, 0], [20, 20, 40, 40, 1]],
        [[0, 0, 10, 10, 0], [0, 0, 0, 0, -1]],
        [[0, 0, 0, 0, -1], [0, 0, 0, 0, -1]],
        [[5, 5, 25, 25, 1], [60, 60, 90, 90, 0]],
    ],
    np.float32,
)
FOUND = [
    [
        [0, 0, 10, 10, 0.9, 0],
        [20, 20, 40, 41, 0.8, 1],
        [50, 50, 60, 60, 0.2, 1],
    ],  # all right; what is below the threshold is no answer
    [[0, 0, 10, 10, 0.9, 1]],  # of another class
    [[0, 0, 10, 10, 0.7, 1]],  # on the background
    [[5, 5, 25, 25, 0.9, 1], [5, 5, 25, 24, 0.8, 1], [70, 70, 95, 95, 0.6, 0]],  # twice, and badly placed
]


def judged() -> Predictions:
    outputs = np.zeros((4, 100, 6), np.float32)
    for row, found in zip(outputs, FOUND, strict=True):
        row[: len(found)] = found
    return predictions.of(outputs, ids=np.array(list("abcd")), targets=TARGETS, card=CARD)


def test_answers_begin_at_the_threshold() -> None:
    one, nothing = judged().outputs[0], np.zeros((100, 6), np.float32)
    (answer,) = respond.answers(one[None], card=CARD)
    assert [each["label"] for each in answer["detections"]] == ["cat", "dog"]
    assert answer["detections"][1]["box"] == [20, 20, 40, 41]
    assert respond.text(one, card=CARD, top=1) == "cat 90.0% at 0,0,10,10"
    assert respond.text(nothing, card=CARD, top=3) == "nothing"
    assert respond.cells(one, card=CARD, top=2)[0] == "cat;dog"
    assert respond.label_and_confidence(one, card=CARD) == ("1 cat, 1 dog", pytest.approx(0.8))
    assert respond.label_and_confidence(nothing, card=CARD) == ("nothing", 1.0)
    assert respond.likeliest(one, card=CARD, top=1) == [("cat", pytest.approx(0.9))]
    assert respond.output_shape(CARD) == one.shape
    with pytest.raises(UserError, match="detector"):
        respond.target(one, card=CARD, name=None, model="trained/yolo")


def test_predictions_come_back_as_they_were(tmp_path: Path) -> None:
    predictions.write(tmp_path / "p.parquet", judged())
    again = predictions.read(tmp_path / "p.parquet")
    np.testing.assert_array_equal(again.outputs, judged().outputs)
    np.testing.assert_array_equal(again.targets, TARGETS)
    assert again.ids.tolist() == list("abcd")
    assert again.threshold == 0.5


def test_right_missed_and_false_boxes_are_told_apart() -> None:
    found = judged()
    hits, hit = found.found
    assert hits[:, :3].tolist() == [[True, True, False], [False] * 3, [False] * 3, [True, False, False]]
    assert hit.tolist() == [[True, True], [False, False], [False, False], [True, False]]
    assert found.correct.tolist() == [True, False, False, False]
    kinds = examples.choose(found, images=2)
    assert kinds[examples.RIGHT] == [0]
    assert kinds[examples.MISSED] == [3, 1], "the largest missed object first"
    assert kinds[examples.FALSE] == [2], "an image is shown once"
    assert examples.caption(TARGETS[0], classes=CARD["classes"]) == "with cat, dog"


def test_each_error_is_of_one_type(tmp_path: Path) -> None:
    found = errors.error_types(judged().answers, TARGETS)
    assert found == {"class": 1, "localization": 1, "both": 0, "duplicate": 1, "background": 1, "missed": 0}
    nothing = np.zeros_like(judged().answers)
    assert errors.error_types(nothing, TARGETS) == {**dict.fromkeys(errors.ERRORS, 0), "missed": 5}
    tables.confusion(tmp_path / "confusion.csv", judged(), CARD["classes"])
    with (tmp_path / "confusion.csv").open() as file:
        cells = {(row["actual"], row["predicted"]): int(row["images"]) for row in csv.DictReader(file)}
    assert cells == {
        ("cat", "cat"): 1,
        ("cat", "dog"): 1,
        ("cat", "background"): 1,
        ("dog", "dog"): 2,
        ("background", "cat"): 1,
        ("background", "dog"): 2,
    }
