"""Fitting to all training images at once, for a model that has a solver instead of epochs."""

import sys
import time
from functools import partial

import torch

from neocog.data.augment import normalize
from neocog.data.prepared import Prepared
from neocog.training.module import Learner
from neocog.training.progress import tell

PART = 4096  # images judged at a time


@torch.no_grad()
def solve(learner: Learner, data: Prepared, *, name: str) -> tuple[dict[str, float], float]:
    """Call the model's `solve(images, labels, *, seed, report)`; the row of its history, and the seconds of the solution.

    `images` are all training images, normalized [N, C, H, W]. Training loss and top-1 are those of the solution, without augmentation.
    """
    learner.eval()
    parts = {"train": data.split("train", limit=learner.recipe.images), "val": data.split("val")}
    images = {
        split: normalize(torch.from_numpy(part.images[:].copy()), mean=learner.mean, std=learner.std)
        for split, part in parts.items()
    }
    labels = {split: torch.from_numpy(part.targets[:].astype("int64")) for split, part in parts.items()}
    begin = time.perf_counter()
    learner.model.solve(  # type: ignore[operator]
        images["train"],
        labels["train"],
        seed=learner.recipe.seed,
        report=partial(tell, name),
    )
    seconds = time.perf_counter() - begin
    row: dict[str, float] = {"epoch": 1, "lr": 0.0}
    for split in parts:
        pairs = zip(images[split].split(PART), labels[split].split(PART), strict=True)
        total = sum(learner.objective.sums(learner(some), those) for some, those in pairs)
        row |= {f"{split}/{key}": value for key, value in learner.objective.means(total).items()}
    primary = f"val/{learner.task.primary.name}"
    print(
        f"{name}  loss {row['train/loss']:.4f}  val/loss {row['val/loss']:.4f}  {primary} {row[primary]:.4f}",
        file=sys.stderr,
        flush=True,
    )
    return row, seconds
