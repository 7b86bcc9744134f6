"""Kill a training at any moment, give the same command again: it continues and ends with the bits of one that was never killed."""

import hashlib
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import projects
import pytest
import yaml
from mlflow import MlflowClient
from pictures import class_folders
from waiting import wait_for

from neocog import architectures
from neocog.bundle import read
from neocog.data.prepare import prepare
from neocog.training import checkpoint
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

TRAIN = [sys.executable, "-m", "pipelines.train", "lenet"]


def digest(folder: Path) -> str:
    return read.digest(folder)


def prepared_project(project: Path, *, epochs: int = 40) -> Path:
    """Digits, 40 epochs of LeNet with everything random switched on that it knows, its layers unfrozen one by one."""
    settings = yaml.safe_load((project / "params.yaml").read_text())
    gradual = {"freeze": 2, "unfreeze": "gradual", "augment": [{"method": "random_erasing", "chance": 0.5}]}
    settings["architectures"]["lenet"] |= {"epochs": epochs, "cutout": 2, "ema": 0.9, "threads": 1, **gradual}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    subprocess.run([sys.executable, "-m", "pipelines.prepare"], check=True, capture_output=True)
    return project


def epochs_done() -> int:
    found = [checkpoint.NAME.search(path.name) for path in Path(".neocog/training").glob("lenet-*/epoch-*.ckpt")]
    return max((int(match[1]) for match in found if match), default=0)


def start_and_stop(by: signal.Signals, *, after_epoch: int) -> int:
    """Start a training, send `by` a random moment after `after_epoch`, and return its exit code."""
    process = subprocess.Popen(TRAIN, stderr=subprocess.DEVNULL)
    assert wait_for(lambda: epochs_done() >= after_epoch, seconds=200, process=process)
    time.sleep(random.uniform(0, 0.1))
    process.send_signal(by)
    return process.wait(60)


def runs() -> list:
    return projects.runs(Path.cwd(), of="train@lenet")


@pytest.mark.slow
def test_killed_by_every_means_it_ends_with_the_bits_of_one_never_killed_under_one_run(project):
    prepared_project(project)
    codes = [
        start_and_stop(signal.SIGKILL, after_epoch=1),
        start_and_stop(signal.SIGTERM, after_epoch=3),
        start_and_stop(signal.SIGINT, after_epoch=5),
    ]
    assert codes == [-signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT]
    assert 5 <= epochs_done() < 40
    subprocess.run(TRAIN, check=True)
    interrupted = digest(Path("models/trained/lenet"))
    history = Path("reports/trained/lenet/history.csv").read_text()
    assert len(history.splitlines()) == 1 + 40
    assert not list(Path(".neocog/training").glob("lenet-*")), "working checkpoints are cleared away"
    [run] = runs()
    assert run.info.status == "FINISHED"
    client = MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    for metric in ("train/loss", "val/loss", "val/top1", "train/images_per_second", "train/wait_share"):
        rows = client.get_metric_history(run.info.run_id, metric)
        assert sorted(row.step for row in rows) == list(range(1, 41)), f"{metric}: none lost, none doubled"

    subprocess.run(TRAIN, check=True)
    assert digest(Path("models/trained/lenet")) == interrupted
    assert Path("reports/trained/lenet/history.csv").read_text() == history
    assert len(runs()) == 2, "a finished training begun anew is a run of its own"


SIZES = {"widths": [4, 8], "depths": [1, 1], "units": 16}
RECIPE = Recipe(epochs=4, batch_size=128, optimizer="adam", lr=0.003, threads=1, accelerator="cpu", ema=0.9)


class Cut(Exception):
    """Stands for the end of the process."""


PLAIN: dict = {}
ELABORATE = {
    "ema": 0.0,
    "keep": "best",
    "patience": 2,
    "accumulate": 2,
    "mixup": 0.2,
    "optimizer": "sgd",
    "lr": 0.05,
    "epochs": 5,
}
FINE_TUNED = {
    "freeze": 1,
    "unfreeze": "gradual",
    "layer_decay": 0.7,
    "augment": ({"method": "random_resized_crop", "scale": [0.5, 1.0]}, {"method": "color_jitter", "chance": 0.5}),
}


class Told:
    """A run that remembers which steps it was told."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def params(self, values) -> None:
        """Not asked here."""

    def metrics(self, values, *, step: int = 0) -> None:
        """Remember the step of an epoch's row."""
        assert {"val/top1", "train/loss", "train/images_per_second"} <= set(values)
        self.steps.append(step)


def train(data, work, *, stop_after: int = 0, model: str = "vgg", recipe: Recipe = RECIPE, run: Told | None = None):
    """Train; with `stop_after`, end right after that epoch's checkpoint as a kill would."""
    real = checkpoint.write

    def write(target, content):
        real(target, content)
        if stop_after and f"epoch-{stop_after}." in target.name:
            raise Cut

    checkpoint.write = write
    try:
        about = {"channels": data.channels, "size": data.size, "classes": len(data.classes)}
        return fit(
            partial(architectures.build, model, **about, sizes=SIZES),
            data,
            recipe,
            name=model,
            work=work,
            run=run,
        )
    finally:
        checkpoint.write = real


def weights(fitted) -> str:
    return hashlib.sha256(b"".join(value.numpy().tobytes() for value in fitted.model.state_dict().values())).hexdigest()


@pytest.mark.parametrize("extra", [PLAIN, ELABORATE], ids=["plain", "elaborate"])
def test_after_every_epoch_a_cut_off_training_ends_with_the_same_bits(digits, tmp_path, extra):
    assert_resumes(digits, tmp_path, replace(RECIPE, **extra))


def test_so_does_one_of_encoded_photographs_that_are_augmented_while_layers_are_unfrozen(tmp_path):
    raw = class_folders(tmp_path / "raw", images=30, suffix="jpg")
    options = {"size": 16, "workers": 1, "val_fraction": 0.2, "test_fraction": 0.2, "store": "encoded"}
    encoded = prepare(tmp_path / "prepared", source="folder", root=raw, **options)
    assert_resumes(encoded, tmp_path, replace(RECIPE, batch_size=16, **FINE_TUNED))


def assert_resumes(data, folder, recipe):
    """A training of `data` that is cut off after any epoch ends as the whole one does."""
    whole = train(data, folder / "whole", recipe=recipe)
    for epoch in range(1, len(whole.history) + 1):
        with pytest.raises(Cut):
            train(data, folder / str(epoch), stop_after=epoch, recipe=recipe)
        resumed = train(data, folder / str(epoch), recipe=recipe)
        assert resumed.history == whole.history
        assert weights(resumed) == weights(whole)
        assert resumed.epoch == whole.epoch


@pytest.mark.parametrize("epoch", [1, 4])
def test_an_epoch_is_logged_after_its_checkpoint_is_safe_and_not_forgotten(digits, tmp_path, epoch):
    before, after = Told(), Told()
    with pytest.raises(Cut):
        train(digits, tmp_path, stop_after=epoch, run=before)
    assert before.steps == list(range(1, epoch)), "of the epoch that was just saved nothing is said yet"
    train(digits, tmp_path, run=after)
    assert after.steps == list(range(epoch, 5))


def test_without_the_recipe_a_resumed_training_is_another_one(digits, tmp_path, monkeypatch):
    """The control: when chance depends on the process instead of on where we are, the bits differ."""
    from neocog.training.module import Learner

    whole = train(digits, tmp_path / "whole")
    monkeypatch.setattr(Learner, "on_train_batch_start", lambda self, batch, batch_idx: None)
    with pytest.raises(Cut):
        train(digits, tmp_path / "cut", stop_after=2)
    assert weights(train(digits, tmp_path / "cut")) != weights(whole)
