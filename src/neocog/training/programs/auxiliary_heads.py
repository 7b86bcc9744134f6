"""Auxiliary heads: classifiers on inner layers, whose losses are added in training; they stay out of the bundle."""

from typing import Protocol, cast, runtime_checkable

from torch import Tensor, nn

from neocog.training.programs.supervised import Loss, SupervisedLearning


@runtime_checkable
class SupportsAuxiliaryHeads(Protocol):
    """A network with auxiliary heads, each of whose losses counts `share`."""

    share: float

    def forward_auxiliary(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The outputs, and those of each auxiliary head."""

    def drop_auxiliary(self) -> None:
        """Remove the heads."""


class AuxiliaryHeads(SupervisedLearning):
    """Supervised learning with the losses of the heads added."""

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        own = cast(SupportsAuxiliaryHeads, network)
        outputs, others = own.forward_auxiliary(images)
        total = loss(outputs, targets)
        for other in others:
            total = total + own.share * loss(other, targets)
        return total, outputs

    def outputs(self, network: nn.Module, images: Tensor) -> Tensor:
        return cast(SupportsAuxiliaryHeads, network).forward_auxiliary(images)[0]
