"""Dry run of a training over many devices: batches and steps by arithmetic, memory by a step without data.

The step runs on fake tensors, which have shapes and no content, in the first of as many ranks of a process group that reaches nobody:
what each operation would keep is added up, as torch's own memory tracker does it, whatever the size of network and batch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neocog.core import private_apis
from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.data.loader import Batches
from neocog.data.prepared import Split
from neocog.training import dry_run, sharding
from neocog.training.optimizer import decayed, optimizer
from neocog.training.programs import choose
from neocog.training.recipe import Recipe

GIB = 2**30
OUTSIDE = GIB  # bytes of a device that hold no tensor of ours: CUDA's context and libraries. An assumption
USABLE = 0.9  # of the rest: what the allocator does not lose between blocks, nor cuDNN to work in. An assumption


@dataclass(frozen=True)
class Epoch:
    """What an epoch is on each rank."""

    ranks: int
    share: int  # images of a batch on the rank that gets most
    smallest_share: int
    batches: int
    steps: int  # of the optimizer
    left_out: int  # images that fill no whole batch; others each epoch


@dataclass(frozen=True)
class Memory:
    """Bytes on the device that needs most, at the moment when it needs most."""

    weights: int  # buffers and what sharding gathers at a time included
    gradients: int
    optimizer: int
    activations: int  # with inputs and what operations need for a moment

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class Option:
    """A change of settings, and the memory with it."""

    changes: dict[str, Any]
    memory: Memory


@dataclass(frozen=True)
class PlannedNetwork:
    """What is planned for: a function that builds the network, and the shape of its images."""

    build: Callable[[], nn.Module]
    name: str
    channels: int
    size: Size


def epoch(recipe: Recipe, images: int) -> Epoch:
    """Batches and steps of an epoch over `images` training images, as the loader makes them."""
    recipe.check_images(images)
    images = min(images, recipe.images or images)
    nothing = Split(np.empty((images, 0), np.uint8), np.empty(images, np.int64), np.empty(0, str))
    batches = len(Batches(nothing, recipe.batch_size, shuffle=True, window=recipe.accumulate))
    ranks = world(recipe)
    return Epoch(
        ranks=ranks,
        share=-(-recipe.batch_size // ranks),
        smallest_share=recipe.batch_size // ranks,
        batches=batches,
        steps=-(-batches // recipe.accumulate),
        left_out=images - batches * recipe.batch_size,
    )


def world(recipe: Recipe) -> int:
    """The number of ranks."""
    return int(recipe.devices) * recipe.num_nodes


def usable(memory: int) -> int:
    """Bytes of a device with `memory` bytes that tensors may fill."""
    return max(0, int((memory - OUTSIDE) * USABLE))


def memory(network: PlannedNetwork, recipe: Recipe) -> Memory:
    """Memory of a training step of the rank that gets the largest share of a batch.

    Raises UserError for a network that does not learn by backpropagation, or where the smallest share of a batch is too small.
    """
    ranks = world(recipe)
    model = dry_run.build_for(network.build, name=network.name, channels=network.channels, size=network.size)
    if not choose.of(model).backpropagates:
        raise UserError(
            f"{network.name} learns without gradients, in little more than the memory of its weights; there is nothing to plan"
        )
    if ranks > 1:
        shape: dict[str, Any] = {"name": network.name, "channels": network.channels, "size": network.size}
        dry_run.check_share(model, **shape, batch_size=recipe.batch_size, processes=ranks)
    sharded = recipe.strategy == "fsdp" and ranks > 1
    kind = {"64-true": torch.float64, "bf16-true": torch.bfloat16}.get(recipe.precision, torch.float32)
    half = torch.float16 if recipe.precision == "16-mixed" else torch.bfloat16
    with private_apis.fake_ranks(ranks):
        mesh = sharding.mesh(torch.device("cpu")) if sharded else None
        with private_apis.fake_tensors():
            with _default(kind):
                model = network.build().train()
            names = decayed(model)
            if mesh is not None:
                sharding.shard(model, mesh)
            step = optimizer(model, recipe, decayed=names)
            images = torch.empty(-(-recipe.batch_size // ranks), *network.size, network.channels, dtype=kind)

            def train() -> None:
                with torch.autocast("cpu", half, enabled=recipe.precision.endswith("mixed")):
                    loss, _ = choose.of(model).loss(model, images.permute(0, 3, 1, 2), images, _any_loss)
                loss.backward()
                step.step()

            found = private_apis.peak_memory(model, step, images, train, sharded=sharded)
    return _grouped(found, recipe, sharded=sharded)


def largest_batch(recipe: Recipe, needed: Memory, *, available: int) -> int:
    """The largest batch size that fits, about: activations grow with the batch and all else does not. 0 when not one image a rank does."""
    share = -(-recipe.batch_size // world(recipe))
    rest = available - (needed.total - needed.activations)
    return max(0, rest * share // max(1, needed.activations)) * world(recipe)


def options(network: PlannedNetwork, recipe: Recipe, needed: Memory, *, available: int) -> Iterator[Option]:
    """What to change so that a step fits: each change alone, and at the end all that save something, computed anew each time."""
    batch, parts = largest_batch(recipe, needed, available=available), 2
    while recipe.batch_size // parts > batch and recipe.batch_size // (2 * parts) >= world(recipe):
        parts *= 2
    single: list[dict[str, Any]] = []
    if recipe.batch_size // parts >= world(recipe):
        single.append({"batch_size": recipe.batch_size // parts, "accumulate": recipe.accumulate * parts})
    if recipe.precision in ("32-true", "64-true"):
        single.append({"precision": "bf16-mixed"})
    if recipe.strategy != "fsdp" and world(recipe) > 1 and not recipe.ema:
        single.append({"strategy": "fsdp"})
    together: dict[str, Any] = {}
    for changes in [*single, *([together] if len(single) > 1 else [])]:
        try:
            found = Option(dict(changes), memory(network, replace(recipe, **changes)))
        except UserError:  # a share of the smaller batch that the network does not take
            continue
        if found.memory.total < needed.total:
            together |= changes
        yield found


@contextmanager
def _default(kind: torch.dtype) -> Iterator[None]:
    """Networks are built in this type: fake tensors cannot be converted in place."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _any_loss(outputs: Tensor, _: Tensor) -> Tensor:
    """The loss of a task keeps little beside the outputs."""
    return outputs.float().square().mean()


def _grouped(found: dict[str, int], recipe: Recipe, *, sharded: bool) -> Memory:
    """The tracker's kinds of memory as ours."""
    gradients = found["gradients"]
    weights = found["weights"] + (found["parameters"] if recipe.ema else 0)
    if not sharded and world(recipe) > 1:
        gradients += found["parameters"]  # DDP copies them into the buckets that it sends
    return Memory(weights, gradients, found["optimizer"], found["activations"])
