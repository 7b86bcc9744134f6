"""Learning from more than labels: a row for each training image, such as what a teacher answers to it."""

from typing import Protocol

from torch import Tensor, nn


class Guide(Protocol):
    """`rows` [N, ...], one for each image of the train split; `share` of the loss is theirs, the labels' loss has the rest."""

    @property
    def rows(self) -> Tensor:
        """What is known of the training images, in their order."""

    @property
    def share(self) -> float:
        """From 0, labels alone, to 1."""

    def attach(self, network: nn.Module) -> None:
        """Get to see the network that is trained, once, before it is."""

    def loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Mean over logits [B, K] and the rows [B, ...] of the same images."""
