"""Stage `compress`, as `dvc repro` runs it: what it leaves in files and in MLflow, also when it is killed on the way."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import projects
import pytest
import yaml
from imports import ROOT
from projects import stage

from neocog.bundle import read
from neocog.evaluation import complexity

pytestmark = pytest.mark.slow
STEPS = [
    {"method": "prune_structured", "ratio": 0.5},
    {"method": "distill", "train": {"epochs": 30, "lr": 0.05}},
    {"method": "quantize_static"},
]
RECIPES = {
    "small": {"model": "trained/resnet", "steps": STEPS, "goals": {"max_top1_drop": 0.5, "max_bytes": 1_000_000}},
    "greedy": {
        "model": "trained/resnet",
        "steps": [{"method": "prune_structured", "ratio": 0.9}],
        "goals": {"max_top1_drop": 0.01},
    },
    "taught": {
        "model": "trained/resnet",
        "steps": [{"method": "distill", "teachers": ["models/trained/resnet"], "train": {"epochs": 1, "lr": 0.05}}],
    },
}
FILES = ("model.onnx", "weights.safetensors", "bundle.json")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A project on digits after its recipe, and what the stage said."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    resnet = params["architectures"]["resnet"] | {
        "widths": [16, 32],
        "depths": [1, 1],
        "epochs": 4,
        "lr": 0.05,
        "threads": 1,
    }
    folder = projects.set_up(
        tmp_path_factory.mktemp("done") / "project",
        architectures={"resnet": resnet},
        tune=params["tune"] | {"architectures": [], "space": {}},
        compress=RECIPES,
    )
    stage(folder, "pipelines.prepare")
    stage(folder, "pipelines.train", "resnet")
    return folder, stage(folder, "pipelines.compress", "small")


def verdict(folder: Path, recipe: str) -> dict:
    return json.loads((folder / "models/compressed" / recipe / "verdict.json").read_text())


def test_a_recipe_ends_as_a_bundle_with_its_verdict(done):
    folder, said = done
    bundle, parent = read.read(folder / "models/compressed/small"), read.read(folder / "models/trained/resnet")
    told = verdict(folder, "small")
    assert bundle.model == "compressed/small" and bundle.card["compression"]["parent"] == "trained/resnet"
    assert bundle.card["compression"]["steps"] == STEPS
    assert told["met"] and told["ended"] is None and [step["kept"] for step in told["steps"]] == [True] * 3
    assert {goal["goal"]: goal["met"] for goal in told["goals"]} == {"max_top1_drop": True, "max_bytes": True}
    assert "compress@small: met" in said
    counted = complexity.count(bundle)
    last = told["steps"][-1]
    assert counted["params"] == last["params"] < 0.35 * complexity.count(parent)["params"], (
        "counted again from the files"
    )
    assert counted["macs"] == last["macs"] < 0.35 * told["before"]["macs"]
    assert counted["size_bytes"] == last["size_bytes"] < 0.35 * told["before"]["size_bytes"]


def test_a_fresh_process_rebuilds_the_network_and_it_agrees_with_the_graph(done):
    folder, _ = done
    script = """
import numpy as np, torch
from neocog.bundle.read import read
from neocog.bundle.rebuild import rebuild
from neocog.data import prepared
data, bundle = prepared.read("data/prepared"), read("models/compressed/small")
part = data.split("test")
mean, std = (torch.tensor(each) * 255 for each in (data.mean, data.std))
images = ((torch.from_numpy(part.images[:].copy()).float() - mean) / std).permute(0, 3, 1, 2)
with torch.inference_mode():
    network = rebuild(bundle)(images).argmax(1).numpy()
graph = bundle.session().run(["logits"], {"images": np.ascontiguousarray(part.images)})[0].argmax(1)
print((network == graph).mean(), (graph == part.targets).mean())
"""
    answered = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    agreement, top1 = map(float, answered.stdout.split())
    assert agreement >= 0.97 and top1 > 0.8


def test_its_run_tells_parent_steps_and_verdict(done):
    folder, _ = done
    (run,) = projects.runs(folder, of="compress@small")
    tags, metrics = run.data.tags, run.data.metrics
    assert run.info.status == "FINISHED"
    assert tags["parent"] == "trained/resnet" and tags["goals"] == "met" and tags["architecture"] == "resnet"
    assert tags["bundle.sha256"] == read.digest(folder / "models/compressed/small")
    assert json.loads(run.data.params["steps"]) == STEPS
    assert {"compress/top1_drop", "compress/speedup", "compress/size_bytes", "1.distill/val/top1"} <= set(metrics)


def test_what_drops_too_far_ends_the_recipe_and_is_no_copy_of_its_parent(done):
    folder, _ = done
    said = stage(folder, "pipelines.compress", "greedy")
    told = verdict(folder, "greedy")
    assert not told["met"] and "more than max_top1_drop (=0.01)" in told["ended"] and told["ended"] in said
    assert told["goals"][0]["by"] < 0 and [step["kept"] for step in told["steps"]] == [True]
    kept, parent = folder / "models/compressed/greedy", folder / "models/trained/resnet"
    assert (kept / "model.onnx").stat().st_size < (parent / "model.onnx").stat().st_size / 3, "what was found is kept"
    assert {run.data.tags["goals"] for run in projects.runs(folder, of="compress@greedy")} == {"missed"}


def test_what_several_devices_trained_is_compressed_by_one_process_and_knows_its_teachers(done, tmp_path):
    folder = shutil.copytree(done[0], tmp_path / "project")
    card = folder / "models/trained/resnet/bundle.json"
    told = json.loads(card.read_text())
    told["provenance"]["params"]["train"] |= {"devices": 2, "strategy": "ddp"}
    card.write_text(json.dumps(told))
    said = stage(folder, "pipelines.compress", "taught")
    assert said.count("compress@taught: ") == 1 and len(projects.runs(folder, of="compress@taught")) == 1
    made = read.read(folder / "models/compressed/taught").card["provenance"]["params"]["compress"]
    assert made["teachers"] == {"models/trained/resnet": read.digest(card.parent)}


def test_killed_at_any_moment_the_same_command_ends_with_the_same_bytes(done, tmp_path):
    folder = shutil.copytree(done[0], tmp_path / "project")
    shutil.rmtree(folder / "models/compressed")
    for path in folder.glob("mlflow.db*"):
        path.unlink()
    shutil.rmtree(folder / ".neocog")
    for epoch in (3, 12):
        projects.killed(folder, "pipelines.compress", "small", when=f"target.name.startswith('epoch-{epoch}.')")
        assert not (folder / "models/compressed/small").exists()
    said = stage(folder, "pipelines.compress", "small")
    assert "continues after epoch" in said
    for name in FILES:
        mine, calm = (each / "models/compressed/small" / name for each in (folder, done[0]))
        assert mine.read_bytes() == calm.read_bytes(), name
    assert [run.info.status for run in projects.runs(folder, of="compress@small")] == ["FINISHED"], (
        "one run, the same one"
    )
