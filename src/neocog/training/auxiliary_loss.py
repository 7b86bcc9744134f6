"""Auxiliary loss: a loss beside the task's own: from a row for each training image, such as a teacher's outputs for it."""

from typing import Protocol

from torch import Tensor, nn


class AuxiliaryLoss(Protocol):
    """`rows` [N, ...], one for each image of the train split; `share` of the loss is theirs, the task's loss has the rest."""

    @property
    def rows(self) -> Tensor:
        """What is known of the training images, in their order."""

    @property
    def share(self) -> float:
        """From 0, the task's loss alone, to 1."""

    def attach(self, network: nn.Module) -> None:
        """Take the network, once, before it is trained."""

    def loss(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Mean over outputs [B, ...] and the rows [B, ...] of the same images."""
