"""`neocog plan`: batches over 64 ranks by the loader's own order, memory of a step without data, what to change when it does not fit."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from neocog import architectures
from neocog.core.errors import UserError
from neocog.data.loader import Batches
from neocog.data.prepared import Split
from neocog.inspect import plan
from neocog.training.optimizer import decayed, optimizer
from neocog.training.recipe import Recipe

CLUSTER = Recipe(batch_size=640, accumulate=2, devices=8, num_nodes=8, strategy="ddp")


def network(name: str, size: int = 28, **sizes: object) -> plan.PlannedNetwork:
    build = partial(architectures.build, name, channels=1, size=(size, size), classes=10, sizes=sizes)
    return plan.PlannedNetwork(build, name, 1, (size, size))


def seen(recipe: Recipe, images: int, ranks: int) -> list[np.ndarray]:
    """The images that each rank sees in an epoch."""
    split = Split(np.zeros((images, 1), np.uint8), np.zeros(images, np.int64), np.empty(0, str))
    found = []
    for rank in range(ranks):
        batches = Batches(
            split, recipe.batch_size, shuffle=True, window=recipe.accumulate, rank=rank, ranks=ranks, indices=True
        )
        found.append(np.concatenate([indices.numpy() for _, _, indices in batches]))
    return found


@pytest.mark.parametrize("batch_size", [640, 650])  # equal shares, and shares of 10 and 11
def test_over_64_ranks_each_image_is_seen_once_an_epoch_as_planned(batch_size):
    recipe, images = replace(CLUSTER, batch_size=batch_size), 10_007
    found, planned = seen(recipe, images, 64), plan.epoch(recipe, images)
    together = np.concatenate(found)
    assert planned.ranks == 64 and planned.steps * recipe.accumulate == planned.batches
    assert len(np.unique(together)) == len(together) == images - planned.left_out
    lengths = {len(each) for each in found}
    assert lengths == {planned.batches * planned.smallest_share, planned.batches * planned.share}
    assert planned.left_out < recipe.batch_size * recipe.accumulate
    first = np.concatenate(seen(recipe, images, 1))
    assert set(first) == set(together), "and they are those that one process sees"


def test_weights_and_optimizer_states_are_counted_and_shards_divide_them():
    recipe = Recipe(batch_size=128, devices=8, num_nodes=8, strategy="ddp", optimizer="adamw", lr=0.001)
    model = network("mlp").build()
    size = sum(parameter.numel() for parameter in model.parameters()) * 4
    whole = plan.memory(network("mlp"), recipe)
    assert whole.weights == size and whole.optimizer == pytest.approx(2 * size, rel=0.001)
    assert size < whole.gradients <= 2 * size, "with the buckets that DDP sends"
    sharded = plan.memory(network("mlp"), replace(recipe, strategy="fsdp"))
    assert sharded.optimizer < whole.optimizer / 50
    half = plan.memory(network("mlp"), replace(recipe, precision="bf16-true"))
    assert half.weights == size / 2


def real_peak(recipe: Recipe, model: torch.nn.Module, size: int) -> int:
    """Bytes that a step on this CPU allocates at most, what lives between steps included."""
    images = torch.zeros(recipe.batch_size, size, size, 1).permute(0, 3, 1, 2)
    step = optimizer(model, recipe, decayed=decayed(model))

    def train() -> None:
        step.zero_grad()
        model(images).square().mean().backward()
        step.step()

    train()
    step.zero_grad()
    lasting = sum(each.numel() * 4 for each in model.parameters()) * 2 + images.numel() * 4
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        train()
    held = np.cumsum([event.nbytes() for event in found.profiler.kineto_results.events() if event.name() == "[memory]"])
    return int(lasting + held.max())


def test_memory_is_what_a_real_step_takes():
    recipe = Recipe(batch_size=256)
    planned = plan.memory(network("vgg"), recipe)
    real = real_peak(recipe, network("vgg").build().train(), 28)
    assert planned.total == pytest.approx(real, rel=0.25)  # oneDNN works in some more
    half = plan.memory(network("vgg"), replace(recipe, batch_size=128))
    assert half.total != pytest.approx(real, rel=0.25), "control: half the batch is another number"


def test_what_does_not_fit_is_changed_until_it_does():
    planned, recipe = network("vgg"), Recipe(batch_size=1024, devices=2, strategy="ddp")
    needed = plan.memory(planned, recipe)
    available = needed.total // 3
    largest = plan.largest_batch(recipe, needed, available=available)
    assert plan.memory(planned, replace(recipe, batch_size=largest)).total <= available * 1.02
    options = list(plan.options(planned, recipe, needed, available=available))
    assert [set(option.changes) for option in options[:3]] == [
        {"batch_size", "accumulate"},
        {"precision"},
        {"strategy"},
    ]
    smaller = options[0].changes
    assert smaller["batch_size"] * smaller["accumulate"] == 1024, "the same images a step"
    assert options[0].memory.total <= available and options[-1].memory.total <= available


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(UserError, match="perceptron learns without gradients"):
        plan.memory(network("perceptron"), Recipe())
    with pytest.raises(UserError, match="one of which gets 1 image"):
        plan.memory(network("resnet", 8), Recipe(batch_size=64, devices=8, num_nodes=8, strategy="ddp"))


@pytest.mark.parametrize(("memory", "code", "said"), [("16G", 0, "It fits"), ("1.01G", 3, "set batch_size: ")])
def test_the_verb_says_whether_it_fits(memory, code, said, tmp_path: Path):
    command = [sys.executable, "-m", "neocog.cli.main", "plan", "lenet", "--nodes", "2", "--gpus", "4"]
    asked = ["--memory", memory, "--images", "60000", "--batch-size", "8192"]
    ended = subprocess.run(
        [*command, *asked],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == code, ended.stderr
    assert "8,192 on all devices, 1024 on each" in ended.stdout and "7 batches, 7 steps" in ended.stdout
    assert said in ended.stdout + ended.stderr
