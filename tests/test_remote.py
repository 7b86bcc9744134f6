"""What one machine has made another one gets: `dvc push`, a fresh clone, `dvc pull`, and nothing is trained again."""

from pathlib import Path

import pytest
from clones import commit, params_on_digits, run, set_up

from neocog.bundle import read
from neocog.tracking import registry

NAME = "perceptron"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose pipeline has run for one architecture on digits, and whose remote is a folder, pushed to."""
    params = params_on_digits()
    params["train"]["epochs"] = 1
    params["architectures"] = {NAME: {"lr": 0.02, "label_smoothing": 0.0}}
    params["robustness"] |= {"images": 20, "baseline": f"trained/{NAME}"}
    folder = set_up(tmp_path_factory.mktemp("remote") / "first", params)
    run(folder, "dvc", "remote", "add", "--default", "store", str(folder.parent / "store"))
    run(folder, "dvc", "repro")
    commit(folder, "digits")
    run(folder, "dvc", "push")
    return folder


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
