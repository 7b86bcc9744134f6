"""Pretraining without labels, for a network that knows how: before its first epoch."""

import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from neocog.data.augment import normalize
from neocog.data.loader import Batches
from neocog.data.prepared import Prepared
from neocog.training import fairness
from neocog.training.module import Learner
from neocog.training.progress import tell


def pretrain(learner: Learner, data: Prepared, *, device: torch.device, name: str) -> float:
    """Call the model's `pretrain(batches, *, seed, report)` on the training images; the seconds it took.

    `batches()` yields one epoch of normalized images [N, C, H, W] in an order of its own, drawn as the recipe's `balance` says.
    Every rank does the same work with the same result.
    """
    recipe, begin = learner.recipe, time.perf_counter()
    epochs = Batches(
        data.split("train", limit=recipe.images),
        recipe.batch_size,
        shuffle=True,
        seed=recipe.seed,
        alike=fairness.alike(data, recipe),
    )
    learner.to(device)

    def batches() -> Iterator[Tensor]:
        for images, _ in epochs:
            yield normalize(images.to(device), mean=learner.mean, std=learner.std)
        epochs.epoch += 1

    learner.model.pretrain(batches, seed=recipe.seed, report=partial(tell, name))  # type: ignore[operator]
    return time.perf_counter() - begin
