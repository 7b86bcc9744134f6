"""Check the image size, the batch size and the machine with a dry run, before the first epoch."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.training.memory import is_exhausted
from neocog.training.programs import choose
from neocog.training.recipe import Recipe

REFUSALS = (
    ValueError,
    RuntimeError,
    AssertionError,
    ZeroDivisionError,
)  # how layers say that a size does not suit them


def build_for(
    build: Callable[[], nn.Module], *, name: str, channels: int, size: Size, batch_size: int = 2, key: str = "data.size"
) -> nn.Module:
    """The network that `build` makes, if a batch of images [N, channels, *size] goes through it as in training.

    Raises UserError, which calls the network `name` and the size `key`, when it does not. Takes some 10 ms (measured at 28 px).
    """
    try:
        model = build()
        if choose.of(model).batches:
            _try(model, torch.zeros(min(batch_size, 2), channels, *size))
    except UserError:
        raise
    except REFUSALS as error:
        if is_exhausted(error):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        remedy = f"set a larger {key}, or other keys of its block (form, norm, padding, depths); `neocog shapes ARCH --image N` shows"
        remedy += " what becomes of an image"
        if batch_size < 2 and _takes(build, torch.zeros(2, channels, *size)):
            remedy = "set batch_size: 2 or more"
        raise UserError(
            f"{name} cannot be trained on images of {size[0]} x {size[1]} pixels in batches of {batch_size}: {reason}; {remedy}"
        ) from error
    return model


def check_machine(recipe: Recipe) -> None:
    """Raise UserError when the recipe asks for devices that this machine has not."""
    gpus, metal = torch.cuda.device_count(), torch.backends.mps.is_available()
    if (recipe.accelerator == "gpu" and not gpus and not metal) or (recipe.accelerator == "mps" and not metal):
        raise UserError(
            f"accelerator (={recipe.accelerator}): PyTorch finds none on this machine; set accelerator: auto"
        )
    if recipe.accelerator != "cpu" and isinstance(recipe.devices, int) and 0 < gpus < recipe.devices:
        raise UserError(f"devices (={recipe.devices}): PyTorch finds {gpus} on this machine; set devices: {gpus}")


def check_share(model: nn.Module, *, name: str, channels: int, size: Size, batch_size: int, processes: int) -> None:
    """Raise UserError unless the smallest share of a batch, which one of several processes gets, goes through as in training."""
    share, enough = batch_size // processes, 2 * processes
    said = f"{name} cannot be trained in batches of {batch_size} over {processes} processes, one of which gets"
    if not share:
        raise UserError(f"{said} no image; set batch_size: {enough}")
    try:
        _try(model, torch.zeros(min(share, 2), channels, *size))
    except REFUSALS as error:
        if is_exhausted(error):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(f"{said} {share} image: {reason}; set batch_size: {enough}") from error


def _takes(build: Callable[[], nn.Module], images: torch.Tensor) -> bool:
    try:
        _try(build(), images)
    except REFUSALS:
        return False
    return True


@torch.no_grad()
def _try(model: nn.Module, images: torch.Tensor) -> None:
    """One step forward as training makes it, of a copy with buffers of its own, so that neither the network nor chance changes."""
    copied = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    with torch.random.fork_rng(devices=()):
        choose.of(copied).outputs(copied, images)
