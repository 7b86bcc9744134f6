"""No cell of any table is a formula to a spreadsheet, and every name that is read back is the one that was written."""

import ast
import csv
import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import tiny
from hypothesis import example, given
from hypothesis import strategies as st
from imports import ROOT

from neocog.core import csv_table
from neocog.data import prepared
from neocog.report import leaderboard, models
from neocog.serving import output_formats
from neocog.serving.predict import Answer
from neocog.statistics import slices
from neocog.tasks.classification import audit, tables
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification.chapters.trust import read as trust

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
CLASSES = ["=1+1", "+cmd|' /C calc'!A0", "-b", "@SUM(A1)", "\ttab", "\rreturn", "'=quoted", "'plain", "one, two", "-7"]


def cells(path: Path) -> list[str]:
    """Every cell as a spreadsheet reads it."""
    with path.open(newline="", encoding="utf-8") as file:
        return [cell for line in csv.reader(file) for cell in line]


def formulas(found: list[str]) -> list[str]:
    def is_number(cell: str) -> bool:
        try:
            return bool(float(cell) or True)
        except ValueError:
            return False

    def is_word(cell: str) -> bool:
        """One behind a sign, with nothing to compute or to call: `-x`, `-north side`."""
        return cell[0] in "+-" and all(letter.isalnum() or letter in " ._-" for letter in cell[1:])

    return [cell for cell in found if cell.startswith(FORMULA) and not is_number(cell) and not is_word(cell)]


@example("=1+1")
@example("''=1")
@example("'-5")
@example("-5")
@example("-5e")
@example("-x(1)")
@example("＝1")
@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\n＝a5e. ,\""), max_size=8))
def test_what_is_guarded_is_no_formula_and_comes_back(text):
    cell = csv_table.guarded(text)
    assert formulas([cell]) == []
    assert csv_table.plain(cell) == text
    [read] = csv.reader(StringIO(csv_table.line([text, 1]) + "\n", newline=""))
    assert read == [cell, "1"]


def test_a_class_with_a_sign_before_it_keeps_its_name():
    assert csv_table.line(["-x", "-north side", "+1 day", "-2+3", "-x|y"]) == "-x,-north side,+1 day,'-2+3,'-x|y"


def test_numbers_stay_as_they_are():
    assert csv_table.line([-1.5, -3, "-0.25", "+1e-05", "-inf", None]) == "-1.5,-3,-0.25,+1e-05,-inf,"


def test_a_damaged_table_is_a_value_error(tmp_path):
    path = tmp_path / "table.csv"
    for text in ("a,b\n1\n", "a,b\n1,2,3\n"):
        path.write_text(text)
        with pytest.raises(ValueError):
            list(csv_table.read(path))


def test_control_the_library_alone_writes_formulas():
    line = StringIO()
    csv.writer(line).writerow(CLASSES)
    assert len(formulas(next(csv.reader(StringIO(line.getvalue(), newline=""))))) >= 4


def test_one_file_writes_and_reads_tables():
    """The other file that names the library reads what a user brings: groups.csv, labels.csv, a table of paths."""
    found = []
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "pipelines").glob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import) and any(each.name == "csv" for each in node.names):
                found.append(path.relative_to(ROOT).as_posix())
    assert found == ["src/neocog/core/csv_table.py", "src/neocog/data/sources/csv_rows.py"]


def test_every_table_about_hostile_names_is_safe_and_joins(tmp_path):
    data = tiny.digits(tmp_path / "data" / "prepared", classes=CLASSES)
    refused = [("=cmd|x/-bad.jpg", "not an image"), ("@a/+b.png", "empty file")]
    again = tmp_path / "again"
    shutil.copytree(data.folder, again)
    csv_table.write(again / "quarantine.csv", ("path", "reason"), refused)
    assert prepared.read(again).quarantined() == refused

    bundle = tiny.train(tmp_path, data, "perceptron")
    tiny.judge(tmp_path, data, [bundle])
    folder = tmp_path / "reports" / bundle.model
    judged = class_predictions.read(folder / "predictions.parquet")
    columns = {"=camera": ["-north" if i % 2 else "@south" for i in range(len(judged.labels))]}
    (folder / "tables").mkdir()
    tables.per_class(folder / "tables" / "per_class.csv", judged, data.classes)
    tables.confusion(folder / "tables" / "confusion.csv", judged, data.classes)
    tables.groups(folder / "tables" / "groups.csv", judged, columns)
    tables.group_confusion(folder / "tables" / "group_confusion.csv", judged, data.classes, columns)
    doubts = [audit.Doubt(1, "test", "-id", "=a/+b.png", *CLASSES[:2], 0.1, 0.9)]
    csv_table.write_rows(folder / "labels.csv", doubts, audit.Doubt)
    assert csv_table.read_rows(folder / "labels.csv", audit.Doubt, stage="audit") == doubts

    [model] = models.gather([bundle], data, reports=tmp_path / "reports")
    found = trust.read(model)
    expected = {value: int(rows.sum()) for value, rows in slices.members(columns["=camera"])}
    assert {each.value: each.images for each in found.groups["=camera"]} == expected
    worst, matrix = found.confused["=camera"]
    assert matrix.sum() == worst.images, "every class was found by its name"
    leaderboard.write_csv(
        folder / "leaderboard.csv", [replace(model.row, model="trained/x", verdict="=met")], model.task
    )

    answers = [Answer("=a.png", model.predictions.probabilities[0], ""), Answer("-b.png", None, "@no image")]
    lines = [output_formats.header(bundle, 3), *(output_formats.as_csv(each, bundle, 3) for each in answers)]
    (folder / "predict.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    [first, _] = csv_table.read(folder / "predict.csv")
    assert first["file"] == "=a.png"
    assert first["class_1"] == CLASSES[model.predictions.predicted[0]]

    walked = sorted(tmp_path.rglob("*.csv"))
    assert len(walked) == 11, [path.name for path in walked]
    assert {str(path): bad for path in walked if (bad := formulas(cells(path)))} == {}
    assert json.loads((folder / "metrics.json").read_text())["test/top1"] > 0.5, "control: a model that answers"
