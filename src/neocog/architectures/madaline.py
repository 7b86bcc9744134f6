"""Madaline: many Adalines in two layers, the first network whose hidden layer learned.

The machine: Widrow, B. (1962). Generalization and information storage in networks of Adaline neurons. In Self-Organizing Systems,
Spartan Books, 435-461. The rule, MRII: Winter, R. & Widrow, B. (1988). MADALINE RULE II: a training algorithm for neural networks. IEEE
International Conference on Neural Networks, vol. 1, 401-408; with Mays's dead zone as told by Widrow, B. & Lehr, M. A. (1990). 30 years
of adaptive neural networks. Proc. IEEE 78(9), 1415-1442.

A hard limiter has no slope, so no error can be propagated back. Instead, of an image that is answered wrongly, the hidden unit whose sum
is nearest to zero is flipped on trial: that disturbs least what was learned before. If fewer output units are then wrong, it is moved
towards its flipped answer by the delta rule, and the next nearest is tried; output units still wrong move towards theirs. Kept: minimal
disturbance, the delta rule normalized by the length of the input, the dead zone (an output sum nearer to zero than this counts as wrong).
Left out: trials with two or three units at once and the counts of how often a unit was used; steps are averaged over a batch.

The hidden layer learns little this way. On Fashion-MNIST 64 units end some three points above a hidden layer that stays random, 1024 end
where a random one does; and with few units many trials get in each other's way (XOR with four units: one trial).
"""

from math import prod

import torch
from torch import Tensor, nn

from neocog.core.constrained_types import AtLeast1, Count, NonNegative
from neocog.core.image_size import Size

YEAR = 1962
IDEA = "Hidden units that learn without a slope, by flipping on trial"
FORMS = {"small": (610_570, 609_792)}
STEEPNESS = (
    1000.0  # of the step of a hidden unit; a true step would let the last bit of a sum decide between two runtimes
)
LOUDNESS = 3.0  # of the output sums as logits: on Fashion-MNIST their expected calibration error is 0.02 with it and 0.41 without


class Madaline(nn.Module):
    """Hidden and output Adalines: images [N, C, H, W] -> logits [N, classes]."""

    def __init__(self, inputs: int, classes: int, *, width: int, trials: int, dead_zone: float) -> None:
        super().__init__()
        self.trials, self.dead_zone = min(trials, width), dead_zone
        self.hidden = nn.Linear(inputs, width)
        self.units = nn.Linear(width, classes)
        for layer in (self.hidden, self.units):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        sums = self.hidden(images.flatten(1))
        return LOUDNESS * self.units((STEEPNESS * sums).clamp(-1, 1))

    @torch.no_grad()
    def learning_rule(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, dict[Tensor, Tensor]]:
        """MRII over images [N, C, H, W] and labels [N]: (loss, logits [N, classes], direction of descent by parameter).

        The loss is the mean number of output units in error, before anything is flipped.
        """
        inputs = images.flatten(1)
        sums = self.hidden(inputs)
        answers = torch.where(sums >= 0, 1.0, -1.0).to(sums.dtype)
        outputs = before = self.units(answers)
        rows = torch.arange(len(labels), device=labels.device)
        wanted = torch.full_like(outputs, -1.0)
        wanted[rows, labels] = 1.0

        wrong = self.wrong(outputs, wanted)
        loss = wrong.sum(1).to(sums.dtype).mean()
        hidden_error = torch.zeros_like(sums)
        for unit in sums.abs().topk(self.trials, largest=False).indices.T:  # of each image the nearest to zero, ...
            answer = answers[rows, unit]
            trial = outputs - 2 * answer[:, None] * self.units.weight.T[unit]
            wrong_then = self.wrong(trial, wanted)
            helps = wrong_then.sum(1) < wrong.sum(1)
            outputs = torch.where(helps[:, None], trial, outputs)
            wrong = torch.where(helps[:, None], wrong_then, wrong)
            answers[rows, unit] = torch.where(helps, -answer, answer)
            hidden_error[rows, unit] = (sums[rows, unit] + answer) * helps  # sum - flipped answer

        steps: dict[Tensor, Tensor] = {}
        for layer, seen, error in (
            (self.hidden, inputs, hidden_error),
            (self.units, answers, (outputs - wanted) * wrong),
        ):
            share = error / ((1 + seen.square().sum(1, keepdim=True)) * len(labels))
            steps |= {layer.weight: share.T @ seen, layer.bias: share.sum(0)}
        return loss, LOUDNESS * before, steps

    def wrong(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """Which output sums [N, classes] are on the wrong side of zero or in the dead zone."""
        return outputs * wanted <= self.dead_zone


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    width: AtLeast1 = 768,
    trials: Count = 8,
    dead_zone: NonNegative = 0.5,
) -> nn.Module:
    """`width` hidden Adalines and one output Adaline a class; the `trials` least certain hidden ones are flipped on trial (0: none)."""
    return Madaline(channels * prod(size), classes, width=width, trials=trials, dead_zone=dead_zone)
