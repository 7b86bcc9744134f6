"""Adaline, the adaptive linear neuron: a linear layer that learns from the size of its error.

Widrow, B. & Hoff, M. E. (1960). Adaptive switching circuits. 1960 IRE WESCON Convention Record, part 4, 96-104.

Each class has a unit that should answer +1 for its own images and -1 for all others. The error is taken before the threshold, so it says
not only whether but by how much an answer is wrong, and every image moves every unit a little against it: the least mean squares (LMS) or
delta rule. It is gradient descent and ends at the least-squares solution, whether or not a line can part the classes. That is also its
weakness: an answer that is too right counts as an error, and XOR is out of reach. The machine had one unit and sixteen switches; the
several units, and steps averaged over a batch, are what classes and speed ask for.
"""

from math import prod

import torch
from torch import Tensor, nn

from neocog.core.image_size import Size

YEAR = 1960
IDEA = "The delta rule: descend the squared error before the threshold"
FORMS = {"small": (7_850, 7_840)}
LOUDNESS = (
    4.0  # of the sums as logits: on Fashion-MNIST their expected calibration error is 0.03 with it and 0.53 without
)


class Adaline(nn.Module):
    """Linear units over the flattened image: images [N, C, H, W] -> logits [N, classes]."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.units = nn.Linear(inputs, classes)
        nn.init.zeros_(self.units.weight)
        nn.init.zeros_(self.units.bias)

    def forward(self, images: Tensor) -> Tensor:
        return LOUDNESS * self.units(images.flatten(1))

    @torch.no_grad()
    def learning_rule(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, dict[Tensor, Tensor]]:
        """LMS over images [N, C, H, W] and labels [N]: (loss, logits [N, classes], direction of descent by parameter).

        The loss is the mean over images of half the squared error, summed over the units.
        """
        inputs = images.flatten(1)
        sums = self.units(inputs)
        error = sums + 1
        error[torch.arange(len(labels), device=labels.device), labels] -= 2  # the right unit should say +1
        loss = error.square().sum(1).mean() / 2
        error /= len(labels)
        return loss, LOUDNESS * sums, {self.units.weight: error.T @ inputs, self.units.bias: error.sum(0)}


def build(*, channels: int, size: Size, classes: int) -> nn.Module:
    """Adaline with one unit a class."""
    return Adaline(channels * prod(size), classes)
