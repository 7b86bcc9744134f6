"""Unsupervised pretraining: layer by layer and without labels, before the first epoch of supervised learning."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from neocog.data.augment import normalize
from neocog.data.loader import Batches
from neocog.data.prepared import Prepared
from neocog.training import fairness
from neocog.training.module import Learner
from neocog.training.progress import print_line


@runtime_checkable
class SupportsPretraining(Protocol):
    """A network that can learn from images alone."""

    def pretrain(self, batches: Callable[[], Iterator[Tensor]], *, seed: int, report: Callable[[str], None]) -> None:
        """Learn from as many epochs `batches()` of normalized images [N, C, H, W] as it likes."""


def pretrain(learner: Learner, data: Prepared, *, device: torch.device, name: str) -> float:
    """Call the network's `pretrain` on the training images, drawn as the recipe's `balance` says; the seconds it took.

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
        for images, *_ in epochs:
            yield normalize(images.to(device), mean=learner.mean, std=learner.std)
        epochs.epoch += 1

    network = cast(SupportsPretraining, learner.model)
    network.pretrain(batches, seed=recipe.seed, report=partial(print_line, name))
    return time.perf_counter() - begin
