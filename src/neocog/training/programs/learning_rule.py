"""Learning by a rule of the network's own, older than backpropagation: perceptron, adaline, madaline."""

from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from neocog.core.errors import UserError
from neocog.training.programs.supervised import Loss, SupervisedLearning
from neocog.training.recipe import Recipe


@runtime_checkable
class SupportsLearningRule(Protocol):
    """A network that knows the direction of descent of its parameters without gradients."""

    def learning_rule(self, images: Tensor, targets: Tensor, /) -> tuple[Tensor, Tensor, dict[Tensor, Tensor]]:
        """The loss, the outputs [N, ...] and the direction of descent of each parameter."""


class LearningRule(SupervisedLearning):
    """The rule writes its own steps, in the precision of the weights; the optimizer takes them as it takes gradients."""

    backpropagates = False

    def check(self, recipe: Recipe, *, name: str) -> None:
        super().check(recipe, name=name)
        if recipe.objective != "mean":
            raise UserError(
                f"objective (={recipe.objective}) weighs the losses of images, but {name} learns by its own rule, which has none; "
                "set objective: mean, and balance: group to draw groups alike"
            )

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            found, outputs, self.descent = cast(SupportsLearningRule, network).learning_rule(images, targets)
        return found, outputs
