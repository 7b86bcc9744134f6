"""A size that does not suit a network is answered with a sentence before the first epoch; asking costs no bit of the training."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from neocog import architectures
from neocog.core.errors import UserError
from neocog.training import dry_run
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

NAMES = architectures.names()


def build(name, *, size, **sizes):
    return partial(architectures.build, name, channels=1, size=size, classes=10, sizes=sizes)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("alexnet", {"form": "alexnet"}),
        ("resnet", {"norm": "instance"}),
        ("resnet", {"padding": "reflect"}),
        ("timm", {"model": "vit_tiny_patch16_224"}),
    ],
)
def test_a_network_that_digits_are_too_small_for_is_refused_before_training(name, sizes, digits, tmp_path):
    assert digits.size == (8, 8)
    said = rf"{name} cannot be trained on images of 8 x 8 pixels .*; set a larger data\.size"
    with pytest.raises(UserError, match=said):
        fit(build(name, size=8, **sizes), digits, Recipe(), name=name, work=tmp_path / "work")
    assert not (tmp_path / "work").exists()
    dry_run.build_for(build(name, size=64, **sizes), name=name, channels=1, size=(64, 64))  # it is the size


def test_a_batch_of_one_is_too_few_where_a_map_is_one_pixel():
    dry_run.build_for(build("resnet", size=8), name="resnet", channels=1, size=(8, 8), batch_size=2)
    with pytest.raises(
        UserError, match=r"in batches of 1: Expected more than 1 value per channel.*; set batch_size: 2"
    ):
        dry_run.build_for(build("resnet", size=8), name="resnet", channels=1, size=(8, 8), batch_size=1)


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("asked", "remedy"),
    [
        ({"accelerator": "gpu"}, {"accelerator": "auto"}),
        ({"accelerator": "mps"}, {"accelerator": "auto"}),
    ],
)
def test_a_device_that_is_not_there_is_refused_and_the_remedy_taken(asked, remedy, digits, tmp_path):
    recipe, ((key, value),) = Recipe(batch_size=64, **asked), remedy.items()
    with pytest.raises(UserError, match=f"on this machine; set {key}: {value}$"):
        fit(build("mlp", size=8), digits, recipe, name="mlp", work=tmp_path / "work")
    dry_run.check_machine(replace(recipe, **remedy))


@pytest.mark.parametrize("batch_size", [2, 3])
def test_a_batch_whose_smallest_share_is_one_image_is_refused_before_the_processes_start(batch_size, digits, tmp_path):
    recipe = Recipe(batch_size=batch_size, devices=2, strategy="ddp", accelerator="cpu", threads=1)
    said = rf"resnet cannot be trained in batches of {batch_size} over 2 processes, one of which gets 1 image: .*; set batch_size: 4$"
    with pytest.raises(UserError, match=said):
        fit(build("resnet", size=8), digits, recipe, name="resnet", work=tmp_path / "work")
    model = build("resnet", size=8)()
    dry_run.check_share(model, name="resnet", channels=1, size=(8, 8), batch_size=4, processes=2)  # as told
    dry_run.check_share(
        build("lenet", size=8)(), name="lenet", channels=1, size=(8, 8), batch_size=2, processes=2
    )  # no norm
    with pytest.raises(UserError, match=r"one of which gets no image; set batch_size: 8"):
        dry_run.check_share(model, name="resnet", channels=1, size=(8, 8), batch_size=3, processes=4)


@pytest.mark.parametrize("name", NAMES)
def test_asking_changes_neither_the_network_nor_chance(name):
    torch.manual_seed(0)
    plain = build(name, size=28)()
    chance, mode = torch.random.get_rng_state(), plain.training
    torch.manual_seed(0)
    asked = dry_run.build_for(build(name, size=28), name=name, channels=1, size=(28, 28))
    assert torch.equal(chance, torch.random.get_rng_state()) and asked.training == mode
    states = zip(plain.state_dict().items(), asked.state_dict().items(), strict=True)
    assert all(key == other and torch.equal(a, b) for (key, a), (other, b) in states)
    assert all(parameter.grad is None for parameter in asked.parameters())


def test_memory_that_runs_out_is_not_mistaken_for_a_size():
    def hungry():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(RuntimeError, match="allocate") as raised:
        dry_run.build_for(hungry, name="vgg", channels=1, size=(28, 28))
    assert not isinstance(raised.value, UserError)


def test_the_verb_that_measures_speed_refuses_it_too(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "neocog.cli.main", "fastest", "densenet", "--size", "4"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert "densenet cannot be trained on images of 4 x 4 pixels" in ended.stderr and "larger --size" in ended.stderr
