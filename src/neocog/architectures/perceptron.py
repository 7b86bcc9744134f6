"""The perceptron: one linear layer and a learning rule that needs no derivative.

Rosenblatt, F. (1958). The perceptron: a probabilistic model for information storage and organization in the brain.
Psychological Review 65(6), 386-408. For more than two classes the rule is Kesler's construction (Duda & Hart 1973, ch. 5.12).

Each class has a linear unit. When the wrong unit answers loudest, its weights move away from the image and those of the right unit move
towards it; when the right one answers, nothing happens. Nothing is propagated back. One linear layer cannot learn XOR
(Minsky & Papert 1969).
"""

from math import prod

import torch
from torch import Tensor, nn

from neocog.core.constrained_types import Positive
from neocog.core.image_size import Size

YEAR = 1958
IDEA = "A single layer of weights that learns from its mistakes"
FORMS = {"small": (7_850, 7_840)}


class Perceptron(nn.Module):
    """Linear units over the flattened image: images [N, C, H, W] -> scores [N, classes]."""

    def __init__(self, inputs: int, classes: int, *, margin: float) -> None:
        super().__init__()
        self.margin = margin
        self.units = nn.Linear(inputs, classes)
        nn.init.zeros_(self.units.weight)
        nn.init.zeros_(self.units.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.units(images.flatten(1))

    @torch.no_grad()
    def learning_rule(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, dict[Tensor, Tensor]]:
        """The perceptron criterion over images [N, C, H, W] and labels [N]: (loss, scores [N, classes], direction of
        descent by parameter).

        The loss is the mean over images of max(0, margin + loudest wrong score - right score).
        """
        inputs = images.flatten(1)
        scores = self.units(inputs)
        rows = torch.arange(len(labels), device=labels.device)
        right = scores[rows, labels]
        rivals = scores.clone()
        rivals[rows, labels] = -torch.inf
        rival_scores, rival = rivals.max(dim=1)
        error = self.margin + rival_scores - right
        wrong = (error > 0).to(scores.dtype)
        step = torch.zeros_like(scores)
        step[rows, rival] = wrong
        step[rows, labels] = -wrong
        step /= len(labels)
        return error.clamp(min=0).mean(), scores, {self.units.weight: step.T @ inputs, self.units.bias: step.sum(0)}


def build(*, channels: int, size: Size, classes: int, margin: Positive = 1.0) -> nn.Module:
    """Perceptron with one unit a class. `margin` is how much louder the right unit must be before it is left alone."""
    return Perceptron(channels * prod(size), classes, margin=margin)
