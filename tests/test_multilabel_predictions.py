"""predictions.parquet keeps what was said of each image, and examples are what their names say."""

from pathlib import Path

import numpy as np

from neocog.core import csv_table
from neocog.tasks.multilabel import examples, predictions, tables, targets

CLASSES = ("sea", "sand", "people")
TARGETS = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1], [0, 0, 0], [0, 1, 0]], bool)
SAYS = np.array([[0.9, 0.6, 0.2], [0.1, 0.1, 0.1], [0.9, 0.1, 0.3], [0.1, 0.9, 0.6], [0.1, 0.2, 0.7]], np.float32)


def made() -> predictions.Predictions:
    return predictions.of(
        SAYS, ids=np.array(list("abcde"), object), targets=TARGETS, card={"thresholds": [0.5, 0.5, 0.5]}
    )


def test_predictions_come_back_as_they_were_written(tmp_path: Path) -> None:
    predictions.write(tmp_path / "predictions.parquet", made())
    found = predictions.read(tmp_path / "predictions.parquet")
    for name in ("ids", "targets", "given", "probabilities"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made(), name))
    assert made().correct.tolist() == [True, True, False, False, False]


def test_examples_are_right_missed_and_false() -> None:
    found = examples.choose(made(), images=2)
    assert found == {"exactly the right labels": [0, 1], "a label missed": [4, 2], "a label given falsely": [3]}
    assert examples.answered(made(), [0, 4, 2, 3]).tolist() == [0, 1, 2, 1]
    assert examples.correct(SAYS, TARGETS).tolist() == made().correct.tolist()
    assert examples.caption(TARGETS[0], classes=CLASSES) == "labelled sea, sand"
    assert examples.caption(TARGETS[1], classes=CLASSES) == "labelled with nothing"


def test_targets_come_back_from_their_columns_and_strata_are_the_rarest_labels() -> None:
    import pyarrow

    table = pyarrow.table(targets.columns(TARGETS))
    np.testing.assert_array_equal(targets.of(table, classes=3), TARGETS)
    assert targets.counts(TARGETS, classes=3).tolist() == [2, 2, 1]
    assert targets.present_classes(TARGETS) == [(0, 1), (), (0, 2), (), (1,)]
    strata, names = targets.strata(TARGETS, classes=CLASSES)
    assert [names[stratum] for stratum in strata] == ["sea", "no label", "people", "no label", "sand"]


def test_tables_count_decisions(tmp_path: Path) -> None:
    thresholds = [0.5, 0.5, 0.5]
    tables.per_class(tmp_path / "per_class.csv", made(), CLASSES, thresholds=thresholds)
    sea, _, people = csv_table.read(tmp_path / "per_class.csv")
    assert sea == {
        "class": "sea",
        "average_precision": "1.0",
        "precision": "1.0",
        "recall": "1.0",
        "f1": "1.0",
        "threshold": "0.5",
        "support": "2",
    }
    assert (people["precision"], people["recall"]) == ("0.0", "0.0")
    tables.confusion(tmp_path / "confusion.csv", made(), CLASSES)
    cells = {
        (row["actual"], row["predicted"]): int(row["images"]) for row in csv_table.read(tmp_path / "confusion.csv")
    }
    assert cells == {
        ("sea", "sea"): 2,
        ("sand", "sand"): 1,
        ("people", "people"): 0,
        ("sand", "people"): 1,
        ("no label", "sand"): 1,
        ("no label", "people"): 1,
    }
    tables.reliability(tmp_path / "reliability.csv", made(), bins=5)
    assert sum(int(row["images"]) for row in csv_table.read(tmp_path / "reliability.csv")) == TARGETS.size
    tables.groups(tmp_path / "groups.csv", made(), {"camera": ["one", "one", "two", None, "two"]})
    found = {row["value"]: float(row["subset_accuracy"]) for row in csv_table.read(tmp_path / "groups.csv")}
    assert found == {"one": 1.0, "two": 0.0}
