"""Learning in closed form: a network that has a solver is fitted to all training images at once, without epochs."""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from neocog.core.errors import UserError
from neocog.data.augment import normalize
from neocog.data.prepared import Prepared
from neocog.training.module import Learner
from neocog.training.programs.supervised import SupervisedLearning
from neocog.training.progress import print_line
from neocog.training.recipe import Recipe

PART = 4096  # images judged at a time


@runtime_checkable
class SupportsClosedForm(Protocol):
    """A network with a solver."""

    def solve(self, images: Tensor, targets: Tensor, /, *, seed: int, report: Callable[[str], None]) -> None:
        """Fit to all training images, normalized [N, C, H, W], and their targets [N, ...]."""


class ClosedForm(SupervisedLearning):
    """What has no steps: neither losses to be weighed nor batches to be drawn."""

    batches = False
    backpropagates = False

    def check(self, recipe: Recipe, *, name: str) -> None:
        if recipe.objective != "mean":
            raise UserError(
                f"objective (={recipe.objective}) weighs the losses of images, but {name} learns by its own rule, which has none; "
                "set objective: mean"
            )
        if recipe.balance != "none":
            raise UserError(
                f"balance (={recipe.balance}) draws batches, but {name} is solved for all images at once; set balance: none"
            )


@torch.no_grad()
def solve(learner: Learner, data: Prepared, *, name: str) -> tuple[dict[str, float], float]:
    """Call the network's `solve`; the row of its history, and the seconds of the solution.

    Training loss and metrics are those of the solution, without augmentation.
    """
    learner.eval()
    parts = {"train": data.split("train", limit=learner.recipe.images), "val": data.split("val")}
    images = {
        split: normalize(torch.from_numpy(part.images[:].copy()), mean=learner.mean, std=learner.std)
        for split, part in parts.items()
    }
    targets = {split: torch.from_numpy(part.targets.copy()) for split, part in parts.items()}
    begin = time.perf_counter()
    network = cast(SupportsClosedForm, learner.model)
    network.solve(images["train"], targets["train"], seed=learner.recipe.seed, report=partial(print_line, name))
    seconds = time.perf_counter() - begin
    row: dict[str, float] = {"epoch": 1, "lr": 0.0}
    for split in parts:
        pairs = zip(images[split].split(PART), targets[split].split(PART), strict=True)
        total = sum(learner.objective.sums(learner(some), those) for some, those in pairs)
        row |= {f"{split}/{key}": value for key, value in learner.objective.means(total).items()}
    primary = f"val/{learner.task.primary.name}"
    print(
        f"{name}  loss {row['train/loss']:.4f}  val/loss {row['val/loss']:.4f}  {primary} {row[primary]:.4f}",
        file=sys.stderr,
        flush=True,
    )
    return row, seconds
