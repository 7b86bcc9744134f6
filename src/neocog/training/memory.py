"""When a batch does not fit: recognize it, and find the largest that does."""

import gc
from collections.abc import Callable

import torch
from torch import nn

from neocog.data.prepared import Prepared
from neocog.training.module import Learner
from neocog.training.optimizer import optimizer
from neocog.training.recipe import Recipe

SIGNS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "std::bad_alloc",
    "could not create a primitive",  # how oneDNN says it
    "could not create a memory object",
)


def is_exhausted(error: BaseException) -> bool:
    """Whether `error` is how torch says that memory ran out, on CPU or accelerator."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in str(error).lower() for sign in SIGNS)


def largest_batch(build: Callable[[], nn.Module], data: Prepared, recipe: Recipe) -> int:
    """The largest batch size, by halving the recipe's, of which one training step fits; 0 when not even one image does."""
    gc.collect()  # what the failed training held hangs in reference cycles
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    size = recipe.batch_size // 2
    while size and not _fits(build, data, recipe, size):
        size //= 2
    return size


def _fits(build: Callable[[], nn.Module], data: Prepared, recipe: Recipe, size: int) -> bool:
    split = data.split("train")
    try:
        learner = Learner(build(), recipe, mean=data.mean, std=data.std, classes=len(data.classes), task=data.task)
        device = torch.device("cuda" if torch.cuda.is_available() and recipe.accelerator in ("auto", "gpu") else "cpu")
        learner.to(device)
        images = torch.from_numpy(split.images[:size].copy()).to(device)
        labels = torch.from_numpy(split.labels[:size].copy()).to(device)
        step = optimizer(learner.model, recipe)
        inputs = images.float().permute(0, 3, 1, 2)
        learner.objective.loss(learner(inputs), labels).backward()
        step.step()
    except (RuntimeError, MemoryError) as error:
        if not is_exhausted(error):
            raise
        return False
    return True
