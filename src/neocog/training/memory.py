"""Recognize an out-of-memory error and find the largest batch that fits."""

import copy
import gc
import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

import torch
from torch import nn

from neocog.data.prepared import Prepared
from neocog.training.module import Learner
from neocog.training.optimizer import optimizer
from neocog.training.programs import choose
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


def device(recipe: Recipe) -> torch.device:
    """Where a step is tried before the training: a GPU if the recipe allows one and there is one."""
    return torch.device("cuda" if torch.cuda.is_available() and recipe.accelerator in ("auto", "gpu") else "cpu")


def largest_batch(build: Callable[[], nn.Module], data: Prepared, recipe: Recipe) -> int:
    """The largest batch size below the recipe's of which one training step fits, to a sixteenth of it; 0 when not even one image does.

    Tried in a fresh process, from small to large: what a failed step leaves in the allocator does not count, and if the system ends
    that process for want of memory, it has said before what fits. `build` must be picklable.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_try, args=(build, data, recipe, sender), daemon=True)
    process.start()
    sender.close()
    fits = 0
    with suppress(EOFError):
        while True:
            fits = receiver.recv()
    process.join()
    return fits


def _try(build: Callable[[], nn.Module], data: Prepared, recipe: Recipe, fitting: Connection) -> None:
    """Send each batch size that fits, ever larger ones."""
    torch.set_num_threads(recipe.threads or torch.get_num_threads())
    fits, size = 0, 1
    while size < recipe.batch_size and _fits(build, data, recipe, size):
        fitting.send(size)
        fits, size = size, size * 2
    fails = min(size, recipe.batch_size)
    while fits and fails - fits > max(1, recipe.batch_size // 16):
        middle = (fits + fails) // 2
        if _fits(build, data, recipe, middle):
            fits = middle
            fitting.send(fits)
        else:
            fails = middle


def _fits(build: Callable[[], nn.Module], data: Prepared, recipe: Recipe, size: int) -> bool:
    gc.collect()  # what the attempt before held hangs in reference cycles
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    split = data.split("train")
    kind = {"64-true": torch.float64, "bf16-true": torch.bfloat16}.get(recipe.precision, torch.float32)
    try:
        where = device(recipe)
        model = build()
        learner = Learner.of(model, data, recipe, program=choose.of(model))
        learner.to(where, kind)
        average = copy.deepcopy(learner.model) if recipe.ema else None
        step = optimizer(learner.model, recipe, decayed=learner.decayed)
        inputs = torch.from_numpy(split.images[:size].copy()).to(where).to(kind).permute(0, 3, 1, 2)
        targets = torch.from_numpy(split.targets[:size].copy()).to(where)
        half = torch.float16 if recipe.precision == "16-mixed" else torch.bfloat16
        with torch.autocast(where.type, half, enabled=recipe.precision.endswith("mixed")):
            loss, _ = learner.loss(inputs, targets)
        if learner.program.backpropagates:
            loss.backward()
        step.step()
        del average
    except (RuntimeError, MemoryError):  # whatever it is called: memory has run out before
        return False
    return True
