"""DVC's own commands show what one compares by: columns for the champion, a row for each model, plots with names."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from imports import ROOT

from neocog.bundle.read import read
from neocog.data import prepared
from neocog.report import leaderboard, models
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification.evaluate import evaluate
from neocog.tasks.task import COUNTS, CURVES, TABLES, EvaluationContext, task

ROWS = ("trained/perceptron", "trained/mlp")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two models with what `train`, `evaluate`, `report` and `register` leave."""
    folder = tiny.project(tmp_path_factory.mktemp("views") / "project")
    params = json.loads((folder / "params.yaml").read_text())
    params |= {"tune": {"architectures": []}, "compress": {}, "data": {"root": "data/raw"}}
    (folder / "params.yaml").write_text(json.dumps(params))
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    data = prepared.read(folder / "data/prepared")
    tiny.judge(folder, data, [read(folder / "models" / model) for model in ROWS])
    bundles = [read(folder / "models" / model) for model in ROWS]
    for bundle in bundles:
        reports = folder / "reports" / bundle.model
        for each in (TABLES, CURVES, COUNTS):
            (reports / each).mkdir()
        judged = class_predictions.read(reports / "predictions.parquet")
        context = EvaluationContext(data.classes, bundle.card, {}, bins=15, bootstrap=2, seed=0)
        evaluate(judged.outputs, judged, context, reports)
    rows = [model.row for model in models.gather(bundles, data, reports=folder / "reports")]
    leaderboard.write_pareto(folder / "reports/pareto.csv", rows, task("classification"))
    champion = {"name": "neocog", "model": "trained/mlp", "top1": 0.93, "latency_ms": 0.2, "size_bytes": 900_000}
    (folder / "reports/registered.json").write_text(json.dumps(champion))
    (folder / "reports/robustness.json").write_text(json.dumps({"models": {model: {"mce": 1.0} for model in ROWS}}))
    return folder


def dvc(folder: Path, *arguments: str) -> dict:
    """What `dvc ... --json` answers."""
    command = [sys.executable, "-m", "dvc", *arguments, "--json"]
    own = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    ended = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def spec(plot: dict) -> dict:
    """The Vega-Lite specification of a plot."""
    return json.loads(plot["content"]) if isinstance(plot["content"], str) else plot["content"]


def look(plot: dict) -> str:
    """The specification without its data: what is drawn of them."""
    return json.dumps({name: value for name, value in spec(plot).items() if name != "data"})


def test_metrics_are_a_row_for_each_model_and_one_for_the_champion(project: Path) -> None:
    shown = {name: each["data"] for name, each in dvc(project, "metrics", "show")[""]["data"].items() if "data" in each}
    assert {"model", "top1", "latency_ms", "size_bytes"} <= set(shown["reports/registered.json"])
    for model in ROWS:
        assert {"test/top1", "test/ece"} <= set(shown[f"reports/{model}/metrics.json"])
        assert "val/top1" in shown[f"reports/{model}/training.json"]
    assert "reports/robustness.json" not in shown, "a column for each model and measure"
    columns = {column for data in shown.values() for column in data}
    assert len(columns) < 40, "what fits on a page"


def test_plots_are_curves_confusion_and_accuracy_against_latency(project: Path) -> None:
    shown = dvc(project, "plots", "show")["data"]
    [pareto] = shown["reports/pareto.csv"]
    x, _ = (spec(pareto)["encoding"][axis] for axis in "xy")
    assert x["scale"] == {"type": "log"} and "latency_ms_p50" in json.dumps(spec(pareto))
    assert "datum['top1']" in json.dumps(spec(pareto)["transform"]), "the last column, whatever the task calls it"
    assert spec(pareto)["layer"][1]["encoding"]["text"]["field"] == "model", "points have names"
    for model in ROWS:
        names = ("history", "counts/confusion", "curves/accuracy_by_confidence")
        history, confusion, reliability = (shown[f"reports/{model}/{name}.csv"][0] for name in names)
        assert "val/top1" in look(history) and "xy_count" in json.dumps(confusion)
        assert {"x", "y"} <= set(spec(reliability)["data"]["values"][0])
        rows = spec(confusion)["data"]["values"]
        assert {"actual", "predicted", "images"} <= set(rows[0]) and 10 <= len(rows) < 100, (
            "no zeros but on the diagonal"
        )


def test_a_task_with_other_curves_and_no_confusion_needs_no_other_dvc_yaml(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "project"
    shutil.copytree(project, other)
    reports = other / "reports/trained/mlp"
    for path in (reports / COUNTS / "confusion.csv", reports / CURVES / "accuracy_by_confidence.csv"):
        path.unlink()
    (reports / CURVES / "precision_by_recall.csv").write_text("x,y\n0.0,1.0\n1.0,0.4\n")
    history = (reports / "history.csv").read_text().replace("top1", "map")
    (reports / "history.csv").write_text(history)
    shown = {name: each for name, each in dvc(other, "plots", "show")["data"].items() if "trained/mlp" in name}
    drawn = ("curves/precision_by_recall.csv", "history.csv")
    assert sorted(shown) == [f"reports/trained/mlp/{name}" for name in drawn]
    assert "val/map" in look(shown["reports/trained/mlp/history.csv"][0])
