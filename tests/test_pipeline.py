"""The main job, as a user runs it: a clone, `dvc repro` on real digits, and DVC's own commands over what came out."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest
import yaml
from clones import commit, environment, params_on_digits, run, set_up
from imports import ROOT
from waiting import wait_for

from neocog.bundle import read

NAMES = ["perceptron", "mlp", "svm", "dbn", "resnet"]  # one of each way to learn; test_architectures walks all
TUNED = "resnet"
SMALLER = {  # one recipe that trains, one that only rounds
    "resnet-small": {
        "model": "tuned/resnet",
        "steps": [{"method": "prune_structured", "ratio": 0.5, "train": {"epochs": 2}}, {"method": "quantize_static"}],
        "goals": {"max_top1_drop": 0.5, "max_bytes": 10_000_000},
    },
    "mlp-rounded": {
        "model": "trained/mlp",
        "steps": [{"method": "quantize_dynamic"}],
        "goals": {"min_speedup": 1000.0},
    },
}
COLUMNS = [
    "model",
    "kind",
    "architecture",
    "year",
    "top1",
    "top1_low",
    "top1_high",
    "top5",
    "macro_f1",
    "ece",
    "params",
    "macs",
    "size_bytes",
    "latency_ms_p50",
    "latency_ms_p95",
    "throughput_ips",
    "train_seconds",
    "epochs",
    "verdict",
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A repository of its own with everything that git tracks or would track here, after its first `neocog repro -j 2` on digits."""
    params = params_on_digits()
    given = yaml.safe_load((ROOT / "params.yaml").read_text())["architectures"]
    params["architectures"] = {
        name: {key: value for key, value in given[name].items() if key != "epochs"} for name in NAMES
    }
    params["train"]["epochs"] = 2
    params["architectures"][TUNED] |= {"widths": [16, 32], "depths": [1, 1]}  # trained by six stages
    params["tune"] |= {"architectures": [TUNED], "trials": 4, "epochs": 2, "images": None}
    params["tune"]["space"] = {TUNED: {"lr": {"log_uniform": [0.05, 0.5]}, "flip": {"choice": [0.0, 0.5]}}}
    params["compress"] = SMALLER
    folder = set_up(tmp_path_factory.mktemp("clone") / "project", params)
    commit(folder, "start")
    run(folder, "neocog", "repro", "-j", "2", "--isolated")
    commit(folder, "digits")
    return folder


def runs(folder: Path) -> list:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("neocog").experiment_id
    return client.search_runs([experiment], max_results=1000)


@pytest.mark.slow
def test_each_architecture_becomes_a_bundle_a_row_and_a_run(clone):
    with (clone / "reports/leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    assert {row["model"] for row in rows} == {f"trained/{name}" for name in NAMES} | {f"tuned/{TUNED}"} | {
        f"compressed/{name}" for name in SMALLER
    }
    assert {row["model"]: row["verdict"] for row in rows if row["verdict"]} == {
        "compressed/resnet-small": "met",
        "compressed/mlp-rounded": "missed",
    }
    assert all(float(row["top1_low"]) <= float(row["top1"]) <= float(row["top1_high"]) for row in rows)
    trained = [row for row in rows if row["kind"] == "trained"]
    assert all(float(row["train_seconds"]) > 0 for row in trained)
    assert {row["architecture"]: row["epochs"] for row in trained} == {
        name: "1" if name == "svm" else "2" for name in NAMES
    }
    by_name = {run.info.run_name: run for run in runs(clone)}
    expected = {f"{stage}@{name}" for stage in ("train", "evaluate") for name in NAMES} | {
        "prepare",
        "architectures",
        "benchmark",
        "audit",
        "explain",
        "robustness",
        "report",
        "register",
        "pipeline",
        f"tune@{TUNED}",
        f"evaluate_tuned@{TUNED}",
        *(f"{stage}@{name}" for stage in ("compress", "evaluate_compressed") for name in SMALLER),
    }
    parts = {run.info.run_name for run in runs(clone) if "mlflow.parentRunId" in run.data.tags}
    assert {f"tune@{TUNED}/trials/{number:03d}" for number in range(4)} <= parts
    assert parts <= {f"tune@{TUNED}/trials/{number:03d}" for number in range(4)} | {f"tune@{TUNED}/full/000"}
    assert set(by_name) - parts == expected and len(runs(clone)) == len(expected) + len(parts)
    head = run(clone, "git", "rev-parse", "HEAD~1").strip()
    for name in NAMES:
        trained = by_name[f"train@{name}"]
        assert trained.info.status == "FINISHED"
        assert trained.data.tags["architecture"] == name
        assert trained.data.tags["stage"] == f"train@{name}"
        assert trained.data.tags["git.commit"] == head
        assert trained.data.tags["bundle.sha256"] == read.digest(clone / "models/trained" / name)
        assert {"epochs", "lr"} <= set(trained.data.params)
        assert ("optimizer.lr" in trained.data.params) == (name != "svm"), "svm is solved without an optimizer"
        assert {"train/loss", "val/loss", "val/top1"} <= set(trained.data.metrics)
        assert [dataset.dataset.digest for dataset in trained.inputs.dataset_inputs]
    assert (clone / "reports/report.html").stat().st_size < 5_000_000


@pytest.mark.slow
def test_every_md5_on_the_page_is_in_the_lock_file(clone):
    told = set(re.findall(r"(\S+)  md5 ([0-9a-f]{32}(?:\.dir)?)", (clone / "reports/report.html").read_text()))
    known = re.findall(r"md5: (\S+)", (clone / "dvc.lock").read_text())
    assert {(path, md5) for path, md5 in told if md5 not in known} == set()
    parts = {"models/tuned/", "reports/trained/", "reports/audit/", "data/prepared"}
    if json.loads((clone / "reports/explained/explained.json").read_text()):
        parts.add("reports/explained")
    assert {part for part in parts if not any(part in path for path, _ in told)} == set(), "no chapter was left out"


@pytest.mark.slow
def test_a_second_repro_does_nothing(clone):
    before = len(runs(clone))
    assert list(clone.glob("src/**/__pycache__"))
    for cache in clone.glob("src/**/__pycache__"):
        shutil.rmtree(cache)
    said = run(clone, "dvc", "repro")
    assert "Running stage" not in said
    assert "up to date" in said
    assert len(runs(clone)) == before


@pytest.mark.slow
def test_one_stage_at_a_time_makes_the_same_bytes(clone):
    """What DVC alone trains, another time, in the place of what was trained two at once."""
    names = ("mlp", "perceptron")
    before = (clone / "dvc.lock").read_text()
    run(clone, "dvc", "repro", "--single-item", "--force", *(f"train@{name}" for name in names))
    after = (clone / "dvc.lock").read_text()
    run(clone, "git", "checkout", "-q", ".")
    run(clone, "dvc", "checkout", "--force")
    made = [yaml.safe_load(text)["stages"] for text in (before, after)]
    assert list(made[0]) == list(made[1])
    for name in names:
        entries = [{out["path"]: out["md5"] for out in stages[f"train@{name}"]["outs"]} for stages in made]
        assert entries[0][f"models/trained/{name}"] == entries[1][f"models/trained/{name}"]
    page = (clone / "reports/pipeline.html").read_text()
    assert "train@resnet" in page and "benchmark" in page


@pytest.mark.slow
def test_a_change_of_one_architecture_concerns_it_and_what_follows(clone):
    params = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(params.replace("margin: 1.0", "margin: 2.0"))
    status = json.loads(run(clone, "dvc", "status", "--json"))
    (clone / "params.yaml").write_text(params)
    assert set(status) & {f"train@{name}" for name in NAMES} == {"train@perceptron"}


@pytest.mark.slow
def test_an_experiment_trains_what_it_changes_and_shows_beside_the_first(clone):
    before = len(runs(clone))
    wanted = ("evaluate@mlp", "evaluate_compressed@mlp-rounded")
    said = run(clone, "neocog", "exp", "run", "--name", "longer", "-S", "+architectures.mlp.epochs=3", *wanted)
    assert "[train@mlp] started" in said and "[train@resnet] started" not in said
    new = [run for run in runs(clone)[: len(runs(clone)) - before] if run.info.run_name != "pipeline"]
    follows = {"architectures", "train@mlp", "compress@mlp-rounded", *wanted}
    assert {run.info.run_name for run in new} == follows, "no sweep again"
    assert {run.data.tags.get("dvc.exp") for run in new} == {"longer"}
    shown = run(clone, "dvc", "exp", "show", "--csv")
    assert "longer" in shown and "test/top1" in shown
    difference = json.loads(run(clone, "dvc", "metrics", "diff", "--json"))
    assert difference["reports/trained/mlp/training.json"]["train/epochs"] == {"old": 2, "new": 3, "diff": 1}
    run(clone, "dvc", "plots", "show")
    page = (clone / "dvc_plots/index.html").read_text()
    assert "val/top1" in page and "confusion" in page
    run(clone, "git", "checkout", "-q", ".")
    run(clone, "dvc", "checkout")


@pytest.mark.slow
def test_a_typo_in_any_block_stops_the_pipeline_before_anything_is_trained(clone):
    params = (clone / "params.yaml").read_text()
    changed = yaml.safe_load(params)
    changed["architectures"]["resnet"]["wdiths"] = [8]
    changed["train"]["lr"] = 0.1
    (clone / "params.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    before = len(runs(clone))
    ended = subprocess.run(
        ["dvc", "repro"], cwd=clone, env=environment(clone), capture_output=True, text=True, check=False
    )
    (clone / "params.yaml").write_text(params)
    run(clone, "dvc", "checkout")
    assert ended.returncode != 0
    assert "architectures.resnet.wdiths" in ended.stderr and "did you mean 'widths'?" in ended.stderr
    assert len(runs(clone)) == before


@pytest.mark.slow
def test_a_killed_pipeline_leaves_no_training_behind_and_continues(clone):
    params = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(params.replace("margin: 1.0", "margin: 3.0\n    epochs: 150"))

    def kept() -> set[Path]:
        return set((clone / ".neocog/training").glob("perceptron-*/epoch-*.ckpt"))

    before = kept()  # of the last training, until the next stage begins

    def working() -> set[Path]:
        return kept() - before

    def trainers() -> list[psutil.Process]:
        ours = [each for each in psutil.process_iter(["cmdline", "cwd"]) if each.info["cwd"] == str(clone)]
        return [each for each in ours if "pipelines.train" in (each.info["cmdline"] or [])]

    started = subprocess.Popen(["dvc", "repro", "train@perceptron"], cwd=clone, env=environment(clone))
    try:
        assert wait_for(working, seconds=120), "training has begun"
    finally:
        started.kill()
        started.wait()
    assert wait_for(lambda: not trainers(), seconds=20), "the stage ends with its dvc"
    assert working(), "what was trained is kept"
    run(clone, "python", "-m", "neocog.orchestration.healing")  # as `make repro` does
    said = run(clone, "dvc", "repro", "train@perceptron")
    (clone / "params.yaml").write_text(params)
    assert "continues after epoch" in said
    trained = [run for run in runs(clone) if run.data.params.get("perceptron.margin") == "3.0"]
    assert [run.info.status for run in trained] == ["FINISHED"], "one run, the same one"
