"""What ends or spreads a training: two trainers of one thing, memory that runs out, several devices."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from neocog import architectures
from neocog.errors import Busy
from neocog.training.fit import fit, key
from neocog.training.recipe import Recipe

RECIPE = Recipe(epochs=1, batch_size=128, optimizer="adam", lr=0.003, threads=1, accelerator="cpu")
HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write("4711")
file.flush()
print(flush=True)
time.sleep(60)
"""
LIMITED = """
import resource, runpy, sys
import torch, pytorch_lightning
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 900_000_000,) * 2)
sys.argv = ["train", "resnet"]
runpy.run_module("pipelines.train", run_name="__main__")
"""


def settings(project, changes):
    """Digits in `project`, params.yaml with each of `changes` made."""
    text = (project / "params.yaml").read_text()
    for before, after in {**changes, "threads: 0": "threads: 1"}.items():
        assert before in text
        text = text.replace(before, after)
    (project / "params.yaml").write_text(text)
    subprocess.run([sys.executable, "-m", "pipelines.prepare"], check=True, capture_output=True)


def test_two_trainers_of_one_thing_are_one_too_many(digits, tmp_path):
    train = partial(
        fit,
        partial(architectures.build, "mlp", channels=1, size=8, classes=10),
        digits,
        RECIPE,
        name="mlp",
        work=tmp_path,
    )
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        with pytest.raises(Busy, match="process 4711"):
            train()
    finally:
        holder.kill()
        holder.wait()
    assert train().history, "the lock is freed by the kill"


WIDE = {
    "    stem_stride: 2": "    stem_stride: 1\n    batch_size: 1024",
    "widths: [24, 48, 96, 192]": "widths: [512, 512, 512, 512]",
    "epochs: 6": "epochs: 1",
}


@pytest.mark.slow
def test_out_of_memory_names_the_largest_batch_that_fits(project):
    settings(project, WIDE)
    ended = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert ended.returncode == 3, ended.stderr
    assert "batch_size (=1024)" in ended.stderr and "the largest batch that fits is" in ended.stderr
    assert not Path("models/trained/resnet").exists()


@pytest.mark.slow
def test_two_processes_train_together_and_one_writes(project):
    settings(
        project,
        {
            "devices: 1": "devices: 2",
            "strategy: auto": "strategy: ddp",
            "accelerator: auto": "accelerator: cpu",
            "epochs: 6": "epochs: 2",
        },
    )
    subprocess.run([sys.executable, "-m", "pipelines.train", "lenet"], check=True, timeout=300)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    experiment = client.get_experiment_by_name("neocog").experiment_id
    assert [run.info.run_name for run in client.search_runs([experiment])].count("train@lenet") == 1
    card = json.loads(Path("models/trained/lenet/bundle.json").read_text())
    assert card["provenance"]["params"]["train"]["devices"] == 2


def test_every_change_of_a_recipe_changes_the_key():
    assert key(train=RECIPE.asdict()) == key(train=RECIPE.asdict())
    assert key(train=RECIPE.asdict()) != key(train=replace(RECIPE, seed=1).asdict())
