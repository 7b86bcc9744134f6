"""What ends or spreads a training: two trainers of one thing, memory that runs out, several devices."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from neocog.core.errors import Busy
from neocog.training.fit import claim, key
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
resource.setrlimit(resource.RLIMIT_AS, (used + 1_600_000_000,) * 2)
sys.argv = ["train", "resnet"]
runpy.run_module("pipelines.train", run_name="__main__")
"""


def settings(project, changes):
    """Digits in `project`, params.yaml with each of `changes` made."""
    text = (project / "params.yaml").read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    (project / "params.yaml").write_text(text)
    subprocess.run([sys.executable, "-m", "pipelines.prepare"], check=True, capture_output=True)


def test_two_trainers_of_one_thing_are_one_too_many(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        with pytest.raises(Busy, match="process 4711"), claim(tmp_path, "mlp"):
            pytest.fail("both hold it")
    finally:
        holder.kill()
        holder.wait()
    with claim(tmp_path, "mlp"):
        assert (tmp_path / "lock").read_text() == str(os.getpid()), "the lock is freed by the kill"


WIDE = {
    "    stem_stride: 2": "    stem_stride: 1\n    batch_size: 1024",
    "widths: [24, 48, 96, 192]": "widths: [32, 32, 32, 32]",
    "epochs: 6": "epochs: 1",
    "size: null": "size: 64",  # large tensors, whose allocation fails cleanly, and little else
}


@pytest.mark.slow
def test_out_of_memory_names_the_largest_batch_that_fits(project):
    settings(project, WIDE)
    ended = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert ended.returncode == 3, ended.stderr
    assert "batch_size (=1024)" in ended.stderr and "the largest batch that fits is" in ended.stderr
    assert not Path("models/trained/resnet").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "perceptron"])  # backpropagation, and a rule of its own
def test_two_processes_train_together_what_one_trains_alone_and_one_writes(project, name):
    """Without chance (no flips, no shifts) two ranks must take the steps that one takes over the same global batches."""
    settings(
        project,
        {
            "epochs: 6": "epochs: 2",
            "accelerator: auto": "accelerator: cpu",
        },
    )
    command = [sys.executable, "-m", "pipelines.train", name]
    subprocess.run(command, check=True, timeout=300)
    alone = load_file(Path("models/trained") / name / "weights.safetensors")
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("devices: 1", "devices: 2").replace("strategy: auto", "strategy: ddp"))
    subprocess.run(command, check=True, timeout=300)
    together = load_file(Path("models/trained") / name / "weights.safetensors")
    for key_, value in alone.items():
        torch.testing.assert_close(together[key_], value, rtol=1e-3, atol=1e-4)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    experiment = client.get_experiment_by_name("neocog").experiment_id
    assert [run.info.run_name for run in client.search_runs([experiment])].count(f"train@{name}") == 2


def test_every_change_of_a_recipe_changes_the_key():
    assert key(train=RECIPE.asdict()) == key(train=RECIPE.asdict())
    assert key(train=RECIPE.asdict()) != key(train=replace(RECIPE, seed=1).asdict())
