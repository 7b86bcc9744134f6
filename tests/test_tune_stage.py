"""Stage `tune`, as `dvc repro` runs it: what it leaves in files and in MLflow, also when it is killed on the way."""

import csv
import shutil
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import projects
import psutil
import pytest
import yaml
from imports import ROOT
from mlflow import MlflowClient
from projects import stage
from waiting import WORKER, ray_workers, wait_for

from neocog.bundle import read

pytestmark = pytest.mark.slow
TRIALS = 5


def set_up(folder: Path, **tune: object) -> Path:
    """A project on digits with a trained lenet, ready for its sweep."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    short = {"architectures": ["lenet"], "trials": TRIALS, "epochs": 12, "images": None, "scheduler": "none"}
    space = {"lenet": {"lr": {"log_uniform": [0.02, 0.4]}, "width": {"choice": [1, 2]}}}
    lenet = params["architectures"]["lenet"] | {"epochs": 12}
    return projects.set_up(
        folder,
        architectures={"lenet": lenet},
        tune=params["tune"] | short | {"space": space} | tune,
        compress={},
    )


def runs(folder: Path) -> list:
    return projects.runs(folder, of="tune@")


def lines(folder: Path) -> list[dict]:
    with (folder / "models/tuned/lenet/trials.csv").open() as file:
        return [{key: value for key, value in line.items() if key != "seconds"} for line in csv.DictReader(file)]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A project after its sweep, and what the stage said."""
    folder = set_up(tmp_path_factory.mktemp("calm") / "project")
    stage(folder, "pipelines.prepare")
    stage(folder, "pipelines.train", "lenet")
    return folder, stage(folder, "pipelines.tune", "lenet")


def test_a_sweep_ends_as_a_bundle_with_its_evidence(calm):
    folder, said = calm
    tuned, trained = read.read(folder / "models/tuned/lenet"), read.read(folder / "models/trained/lenet")
    best = yaml.safe_load((tuned.folder / "best.yaml").read_text())
    assert tuned.model == "tuned/lenet"
    assert [line["trial"] for line in lines(folder)] == [str(number) for number in range(TRIALS)]
    assert float(lines(folder)[0]["lr"]) == 0.1, "trial 0 has today's settings"
    assert "tune@lenet: " in said and f"tune@lenet {TRIALS}/{TRIALS}" in said
    taken = tuned.card["provenance"]["params"]["train"]["lr"]
    if best["better"]:
        assert best["p_value"] < 0.05 and best["difference"] > 0
        assert taken == best["values"]["lr"] and "so its settings are taken" in said
    else:
        assert (tuned.folder / "model.onnx").read_bytes() == (trained.folder / "model.onnx").read_bytes()
        assert "today's settings" in said
    assert not list((folder / ".neocog/tuning").glob("lenet-*")), "no working files are left"


def test_each_trial_is_one_child_run_with_its_true_ending(calm):
    folder, _ = calm
    mother = next(run for run in runs(folder) if run.info.run_name == "tune@lenet")
    children = [run for run in runs(folder) if run.data.tags.get("mlflow.parentRunId") == mother.info.run_id]
    trials = [run for run in children if "/trials/" in run.info.run_name]
    assert len(runs(folder)) == 1 + len(children) and len(trials) == TRIALS
    assert {run.info.status for run in [mother, *children]} == {"FINISHED"}
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    for run in trials:
        assert run.data.tags["trial.status"] == "finished"
        assert run.data.params["lr"] == run.data.params["optimizer.lr"], "asked for and really held"
        assert [point.step for point in client.get_metric_history(run.info.run_id, "val/top1")] == list(range(1, 13))
    pictures = {file.path for file in client.list_artifacts(mother.info.run_id, "figures")}
    assert {f"figures/sweep.lenet.{name}.svg" for name in ("history", "parallel")} <= pictures


def test_killed_at_any_moment_the_same_command_ends_with_the_same(calm, tmp_path):
    folder = shutil.copytree(calm[0], tmp_path / "project")
    shutil.rmtree(folder / "models/tuned")
    for name in ("mlflow.db", "mlruns", ".neocog"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    kept = folder / ".neocog/tuning"
    for wanted in (2, 3):  # trials that have ended
        started = stage(folder, "pipelines.tune", "lenet", wait=False)
        if wanted == 2:
            assert wait_for(partial(kill_a_worker, kept, started.pid), seconds=200, process=started)
        family = wait_for(partial(at_work, kept, wanted, started.pid), seconds=200, process=started)
        assert family, "some trials have ended, and one is training"
        started.send_signal(signal.SIGKILL)
        started.wait()
        _, left = psutil.wait_procs(family, timeout=30)
        assert not left, "what trains ends with its driver"
        assert have_ended(kept, wanted), "the control: something had ended"
    said = stage(folder, "pipelines.tune", "lenet")
    assert said.count("finished after 12 of 12") >= TRIALS
    assert lines(folder) == lines(calm[0])
    for name in ("best.yaml", "model.onnx", "weights.safetensors"):
        assert (folder / "models/tuned/lenet" / name).read_bytes() == (
            calm[0] / "models/tuned/lenet" / name
        ).read_bytes()
    assert len(runs(folder)) == len(runs(calm[0])), "no run is lost, none doubled"
    assert {run.info.status for run in runs(folder)} == {"FINISHED"}


def have_ended(kept: Path, least: int) -> bool:
    """Whether so many trials have ended."""
    ended = 0
    for path in kept.glob("*/trials/*.json"):
        with suppress(FileNotFoundError):
            ended += '"finished"' in path.read_text()
    return ended >= least


def kill_a_worker(kept: Path, stage: int) -> bool:
    """Kill one that trains, once there are checkpoints; whether there was one."""
    with suppress(psutil.NoSuchProcess):
        if list(kept.glob("*/trials/*/epoch-*.ckpt")) and (workers := ray_workers(stage)):
            workers[0].kill()
            return True
    return False


def at_work(kept: Path, least: int, stage: int) -> list[psutil.Process]:
    """What trains, when so many trials have ended and one goes on; Ray's agents, at rest, last a minute longer."""
    family = ray_workers(stage, (*WORKER, "raylet", "gcs_server"))
    return family if len(family) >= 3 and have_ended(kept, least) else []


def test_a_failed_and_a_stopped_trial_say_so(calm, tmp_path):
    folder = shutil.copytree(calm[0], tmp_path / "project")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["tune"] |= {"scheduler": "asha", "epochs": 4, "trials": 10, "seeds": 2}
    params["tune"]["space"] = {"lenet": {"lr": {"choice": [0.00001, 0.00003, 0.0001, 0.01, 0.02, 1e6]}}}
    params["architectures"]["lenet"]["batch_size"] = 16  # steps enough to diverge before the first epoch ends
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    before = {run.info.run_id for run in runs(folder)}
    stage(folder, "pipelines.tune", "lenet")
    new = [run for run in runs(folder) if run.info.run_id not in before]
    trials = {run.info.run_name: run for run in new if "/trials/" in run.info.run_name}
    by_status = {line["trial"]: line["status"] for line in lines(folder)}
    assert {"failed", "stopped", "finished"} <= set(by_status.values())
    for number, status in by_status.items():
        run = trials[f"tune@lenet/trials/{int(number):03d}"]
        assert run.info.status == ("FAILED" if status == "failed" else "FINISHED")
        assert run.data.tags["trial.status"] == status
        assert ("training diverged" in run.data.tags.get("error", "")) == (status == "failed")
    best = yaml.safe_load((folder / "models/tuned/lenet/best.yaml").read_text())
    if best["trial"]:
        assert best["seeds"] == [0, 1] and len(best["scores"]) == 2 and best["spread"] is not None
