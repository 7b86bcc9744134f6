"""The example of several labels as a user has it: its leaderboard and answers; and what one machine has made another one gets.

That is: `dvc push`, a fresh clone, `dvc pull`, and nothing is trained again.
"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from clones import commit, run, set_up
from imports import ROOT
from PIL import Image

from neocog.bundle import read
from neocog.tracking import registry

NAME = "resnet"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example after its first `dvc repro`, with one network and fewer epochs, and pushed to its remote, a folder."""
    params = yaml.safe_load((ROOT / "examples/multilabel/params.yaml").read_text())
    params["architectures"] = {NAME: params["architectures"][NAME]}
    params["train"]["epochs"] = 3
    params["robustness"] |= {"images": 20, "severities": [3]}
    params["benchmark"]["rounds"] = 3
    folder = set_up(tmp_path_factory.mktemp("remote") / "first", params)
    run(folder, "dvc", "remote", "add", "--default", "store", str(folder.parent / "store"))
    commit(folder, "start")
    run(folder, "dvc", "repro")
    commit(folder, "grids of digits")
    run(folder, "dvc", "push")
    return folder


def test_the_leaderboard_ranks_by_mean_average_precision(first: Path) -> None:
    with (first / "reports/leaderboard.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert sorted(rows) == ["compressed/resnet-int8", "trained/resnet"]
    for row in rows.values():
        assert float(row["map_low"]) <= float(row["map"]) <= float(row["map_high"])
        assert float(row["map"]) > 0.7  # chance is 0.22
        assert "top1" not in row
    page = (first / "reports/report.html").read_text()
    assert '<section id="look">' in page
    assert "with a label missed" in page


def test_a_model_answers_the_labels_above_their_thresholds(first: Path) -> None:
    folder = first / "models/compressed/resnet-int8"
    card = json.loads((folder / "bundle.json").read_text())
    assert len(card["thresholds"]) == 10
    assert "temperature" not in card
    images = np.load(first / "data/prepared/images.npy", mmap_mode="r")
    Image.fromarray(images[-1][..., 0]).save(first / "grid.png")
    (line,) = run(first, "neocog", "predict", str(folder), "grid.png", "--json", "--top", "10").splitlines()
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    (said,) = session.run(["probabilities"], {"images": np.array(images[-1:])})[0]
    above = {name for name, p, least in zip(card["classes"], said, card["thresholds"], strict=True) if p >= least}
    assert {entry["label"] for entry in json.loads(line)["predictions"]} == above


@pytest.fixture(scope="module")
def second(first: Path) -> Path:
    """A fresh clone of it, as on another machine, before anything was pulled."""
    run(first.parent, "git", "clone", "-q", str(first), "second")
    return first.parent / "second"


def test_a_pulled_clone_is_up_to_date_and_makes_its_report_without_training(first: Path, second: Path) -> None:
    assert not (second / "models/trained" / NAME).exists() and not (second / "mlflow.db").exists()
    run(second, "dvc", "pull")
    assert read.digest(second / "models/trained" / NAME) == read.digest(first / "models/trained" / NAME)
    assert "Running stage" not in run(second, "dvc", "repro"), "nothing has changed"
    page = second / "reports/report.html"
    before = page.read_bytes()
    page.unlink()
    said = run(second, "dvc", "repro", "--single-item", "--force", "report")
    assert "Running stage 'report'" in said and "train" not in said.replace("trained", "")
    assert len(page.read_bytes()) == pytest.approx(len(before), rel=0.01)
    assert not (second / ".neocog/training").exists(), "no epoch was trained"


def test_a_pulled_bundle_finds_the_run_that_made_it(first: Path, second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what it holds: run ids are in no output of DVC."""
    run(second, "dvc", "pull", f"train@{NAME}")
    digest = read.digest(second / "models/trained" / NAME)
    monkeypatch.chdir(second)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{first / 'mlflow.db'}")
    with registry.opened() as mlflow:
        found = mlflow.run_of(digest)
        assert found and mlflow.client.get_run(found).data.tags["stage"] == f"train@{NAME}"
        assert mlflow.run_of(digest[::-1]) is None
    assert found not in (first / "dvc.lock").read_text()


def test_the_store_holds_what_dvc_makes_and_git_the_small_tables(first: Path) -> None:
    stored = {path for path in (first.parent / "store/files/md5").rglob("*") if path.is_file()}
    tracked = set(run(first, "git", "ls-files").splitlines())
    assert len(stored) >= 10
    assert {f"reports/trained/{NAME}/metrics.json", "reports/leaderboard.csv", "dvc.lock"} <= tracked
    assert not [name for name in tracked if name.endswith((".onnx", ".safetensors", ".npy", ".db", "report.html"))]
    assert "No changes" in run(first, "dvc", "status", "--cloud") or "in sync" in run(first, "dvc", "status", "--cloud")
