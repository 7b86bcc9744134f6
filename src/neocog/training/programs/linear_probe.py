"""Linear probe: the head alone learns, on features that a frozen backbone computes once for all epochs.

Alain, G. & Bengio, Y. (2016). Understanding intermediate layers using linear classifier probes. arXiv:1610.01644.
"""

import sys
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from neocog.data.augment import normalize
from neocog.data.prepared import Split
from neocog.training import depth
from neocog.training.module import Learner
from neocog.training.programs.supervised import SupervisedLearning

MOST_BYTES = 2 << 30  # of all features: beyond, the backbone computes them again in every epoch
BATCH = 64  # images whose features are computed at a time


class LinearProbe(SupervisedLearning):
    """What learns is the head; batches hold its inputs [N, ...] instead of images."""

    takes_features = True

    def __init__(self, head: nn.Module) -> None:
        self.head = head

    def outputs(self, network: nn.Module, images: Tensor) -> Tensor:
        found: Tensor = self.head(images)
        return found


def suits(learner: Learner) -> bool:
    """Whether every epoch would compute the same features: the backbone is frozen, images come as they are, nothing looks inside."""
    recipe = learner.recipe
    return (
        recipe.freeze == "backbone"
        and type(learner.program) is SupervisedLearning
        and learner.auxiliary_loss is None
        and not learner.augmentation.is_on
        and recipe.precision in ("32-true", "16-mixed", "bf16-mixed")
    )


@torch.no_grad()
def features(learner: Learner, splits: Sequence[Split], *, device: torch.device, name: str) -> list[Split] | None:
    """`splits` with the inputs of the head [n, ...] for images, and `learner` set to learn from them; None where they are too large."""
    begin = time.perf_counter()
    network = learner.to(device).model
    before, after = _in_two(network.get_submodule(depth.head(network)))
    network.eval()
    found: list[Split] = []
    budget = MOST_BYTES
    for split in splits:
        parts = []
        for start in range(0, len(split.targets), BATCH):
            packed = torch.from_numpy(split.images[start : start + BATCH].copy()).to(device)
            inputs = _inputs(network, learner.layout(normalize(packed, mean=learner.mean, std=learner.std)))
            part = (before(inputs) if before is not None else inputs).cpu().numpy()
            if part.nbytes * (len(split.targets) / len(part)) > budget:
                network.train()
                return None
            parts.append(part)
        whole = np.concatenate(parts)
        budget -= whole.nbytes
        found.append(Split(whole, split.targets, split.ids))
    network.train()
    learner.program = LinearProbe(after)
    images, shape = sum(len(each.targets) for each in found), " x ".join(map(str, found[0].images.shape[1:]))
    seconds = time.perf_counter() - begin
    print(f"{name}  features of {images} images ({shape}) in {seconds:.1f} s, once for all epochs", file=sys.stderr)
    return found


def _in_two(head: nn.Module) -> tuple[nn.Module | None, nn.Module]:
    """What of the head changes nothing by learning or chance, such as pooling, and the rest."""
    if type(head) is not nn.Sequential:
        return None, head
    fixed = 0
    for layer in head:
        if list(layer.parameters()) or "drop" in type(layer).__name__.lower():
            break
        fixed += 1
    return nn.Sequential(*head[:fixed]), nn.Sequential(*head[fixed:])


def _inputs(network: nn.Module, images: Tensor) -> Tensor:
    """What the head is given for images [N, C, H, W]."""
    seen: list[Tensor] = []
    hook = network.get_submodule(depth.head(network)).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        network(images)
    finally:
        hook.remove()
    [inputs] = seen
    return inputs
