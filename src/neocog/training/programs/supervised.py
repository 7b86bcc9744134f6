"""Supervised learning by backpropagation of the task's loss: what every network can."""

from collections.abc import Callable

from torch import Tensor, nn

from neocog.core.errors import UserError
from neocog.training.recipe import Recipe

Loss = Callable[[Tensor, Tensor], Tensor]  # of outputs [N, ...] and targets [N, ...]


class SupervisedLearning:
    """A way of learning; the other files of this folder say where theirs differs.

    `takes_features`: whether a batch holds what the head is given instead of images.
    `batches`: whether it learns from batches, in epochs. `backpropagates`: whether it does so by gradients of the task's loss.
    `descent` holds the direction of descent of each parameter where a step finds one by other means.
    """

    takes_features = False
    batches = True
    backpropagates = True
    descent: dict[Tensor, Tensor] | None = None

    def check(self, recipe: Recipe, *, name: str) -> None:
        """Raise UserError, which calls the network `name`, for what of `recipe` cannot be done."""
        if recipe.strategy == "fsdp" and not self.backpropagates:
            raise UserError(
                f"strategy (=fsdp) shards gradients, but {name} learns without them; set strategy: ddp in its block"
            )

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        """What a step minimizes over normalized images [N, C, H, W], and the network's outputs [N, ...]; `loss` is the task's."""
        outputs = self.outputs(network, images)
        return loss(outputs, targets), outputs

    def outputs(self, network: nn.Module, images: Tensor) -> Tensor:
        """Outputs [N, ...] of all that `network` computes in a step of training."""
        outputs: Tensor = network(images)
        return outputs
