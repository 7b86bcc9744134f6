"""Fairness: sampling balanced by class or group, class weights, and group DRO.

Group DRO is the loss of the worst groups, as the mean of all groups' losses weighted by how large they have been.

Sagawa, S., Koh, P. W., Hashimoto, T. B. & Liang, P. (2020). Distributionally robust neural networks for group shifts: on the importance of
regularization for worst-case generalization. ICLR. arXiv:1911.08731, algorithm 1.

A group that is small hardly shows in the mean of all images, so a network may do without it. Here each batch multiplies the weight of a
group by exp(step x its loss), and the weights sum to 1. What the paper needs beside it: groups drawn alike (`balance: group`), or most
batches know nothing of the small ones; and regularization, or every group's training loss ends near 0.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from neocog.data.prepared import Prepared
from neocog.tasks import task as tasks
from neocog.training.recipe import Recipe


def alike(data: Prepared, recipe: Recipe) -> np.ndarray | None:
    """Of what the recipe draws as many images each: the class or the group of each training image [n]; None for all as they are."""
    if recipe.balance == "group":
        return data.cells("train", str(recipe.groups), limit=recipe.images)[0]
    if recipe.balance == "class":
        targets = data.split("train", limit=recipe.images).targets
        alike: np.ndarray = tasks.task(data.task).targets.strata(targets, classes=data.classes)[0]
        return alike
    return None


def class_weights(data: Prepared, recipe: Recipe) -> Tensor | None:
    """Of the loss, by class [K], from how many training images show it; None for all classes as they are."""
    if recipe.class_weights == "none":
        return None
    task, targets = tasks.task(data.task), data.split("train", limit=recipe.images).targets
    counts = torch.from_numpy(task.targets.counts(targets, classes=len(data.classes)))
    weights: Tensor = task.objective.balanced(counts, images=len(targets))
    return weights


class GroupDRO:
    """`members` [N], int64: the group of each training image. `weights` [groups] are its only memory, the same on all ranks."""

    def __init__(self, members: Tensor, *, step: float) -> None:
        self.members, self.step = members, step
        count = int(members.max()) + 1
        self.weights = torch.full((count,), 1 / count)

    def loss(
        self, losses: Tensor, indices: Tensor, *, ranks: int = 1, added: Callable[[Tensor], Tensor] = lambda part: part
    ) -> Tensor:
        """Weighted sum of the groups' mean losses, after the weights have moved; of `losses` [B] of the training images at `indices` [B].

        A group that the batch has no image of adds nothing and keeps its share of weight against the others that are absent. Over several
        `ranks`, whose parts of the batch `added` sums up, the mean of what this returns is the loss of the whole batch.
        """
        groups = self.members[indices.cpu()].to(losses.device)
        self.weights = self.weights.to(losses.device)
        parts = torch.zeros(2, len(self.weights), device=losses.device)
        parts.index_add_(
            1, groups, torch.stack([losses.detach().float(), torch.ones_like(losses, dtype=torch.float32)])
        )
        sums, counts = added(parts)
        means = sums / counts.clamp(min=1)
        self.weights = torch.softmax(self.weights.log() + self.step * means, dim=0)
        return ranks * (losses * (self.weights / counts.clamp(min=1))[groups]).sum()


def dro(data: Prepared, recipe: Recipe) -> GroupDRO | None:
    """GroupDRO over the training images; None unless that is the objective."""
    if recipe.objective != "group_dro":
        return None
    members, _ = data.cells("train", str(recipe.groups), limit=recipe.images)
    return GroupDRO(torch.from_numpy(members), step=recipe.dro_step)
