"""Group DRO: the loss of the worst groups, as the mean of all groups' losses weighted by how large they have been.

Sagawa, S., Koh, P. W., Hashimoto, T. B. & Liang, P. (2020). Distributionally robust neural networks for group shifts: on the importance of
regularization for worst-case generalization. ICLR. arXiv:1911.08731, algorithm 1.

A group that is small hardly shows in the mean of all images, so a network may do without it. Here each batch multiplies the weight of a
group by exp(step x its loss), and the weights sum to 1. What the paper needs beside it: groups drawn alike (`balance: group`), or most
batches know nothing of the small ones; and regularization, or every group's training loss ends near 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor


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
