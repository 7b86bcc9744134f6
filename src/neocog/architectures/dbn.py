"""The deep belief network: deep sigmoid layers, each first taught, without labels, to account for the one below.

Hinton, G. E., Osindero, S. & Teh, Y.-W. (2006). A fast learning algorithm for deep belief nets. Neural Computation 18, 1527-1554.
Hinton, G. E. & Salakhutdinov, R. R. (2006). Reducing the dimensionality of data with neural networks. Science 313, 504-507.

In a deep stack of sigmoids the error fades on its way down, and the first layers hardly learn. So every pair of layers is trained
beforehand as a restricted Boltzmann machine, a model of its input: contrastive divergence moves the weights from what the machine makes
up towards what it was shown. What a layer makes of the images is then the input of the next; at last backpropagation adapts the whole
stack to the labels. As in Science 2006, the first visible units are Gaussian, here of variance 1 as the images are normalized; biases and
momentum follow Hinton (2010), A practical guide to training restricted Boltzmann machines. Left out: the up-down algorithm and the
generative model on top of the stack, as only the classifier is kept.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from neocog.core.constrained_types import AtLeast1, Count
from neocog.core.image_size import Size

YEAR = 2006
IDEA = "Depth made trainable: each layer first learns without labels"
FORMS = {"small": (498_314, 496_896)}
RATE, GAUSSIAN_RATE, MOMENTUM = 0.1, 0.01, 0.9


@dataclass(frozen=True)
class Boltzmann:
    """A restricted Boltzmann machine: visible units [V], hidden units [H], and one weight [H, V] for each pair across."""

    weight: Tensor
    hidden_bias: Tensor
    visible_bias: Tensor
    gaussian: bool  # visible units are real numbers with unit variance; otherwise 0 or 1

    def hidden(self, visible: Tensor) -> Tensor:
        """The chance of each hidden unit to be on: [N, V] -> [N, H]."""
        return torch.sigmoid(F.linear(visible, self.weight, self.hidden_bias))

    def visible(self, hidden: Tensor) -> Tensor:
        """The mean of each visible unit: [N, H] -> [N, V]."""
        mean = F.linear(hidden, self.weight.T, self.visible_bias)
        return mean if self.gaussian else torch.sigmoid(mean)

    def free_energy(self, visible: Tensor) -> Tensor:
        """-log of the unnormalized probability of visible states: [N, V] -> [N]."""
        own = (visible - self.visible_bias).square().sum(1) / 2 if self.gaussian else -visible @ self.visible_bias
        return own - F.softplus(F.linear(visible, self.weight, self.hidden_bias)).sum(1)

    def contrast(self, data: Tensor, *, k: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Contrastive divergence over `data` [N, V] with `k` steps of Gibbs sampling.

        Returns the directions of ascent of weight, hidden and visible bias, and the reconstruction error: the mean
        square of data minus the means of the first step.
        """
        shown = hidden = self.hidden(data)
        made, error = data, data.new_zeros(())
        for step in range(k):
            means = self.visible(torch.bernoulli(hidden, generator=generator))
            if step == 0:
                error = (data - means).square().mean()
            if self.gaussian:
                made = means + torch.randn(means.shape, generator=generator, dtype=means.dtype, device=means.device)
            else:
                made = torch.bernoulli(means, generator=generator)
            hidden = self.hidden(made)
        weight = (shown.T @ data - hidden.T @ made) / len(data)
        return weight, (shown - hidden).mean(0), (data - made).mean(0), error


class DBN(nn.Module):
    """Sigmoid layers and one unit a class: images [N, C, H, W] -> logits [N, classes]."""

    def __init__(self, inputs: int, classes: int, *, widths: Sequence[int], k: int, pretrain_epochs: int) -> None:
        super().__init__()
        self.k, self.pretrain_epochs = k, pretrain_epochs
        sizes = [inputs, *widths]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.units = nn.Linear(sizes[-1], classes)

    def features(self, images: Tensor, *, depth: int | None = None) -> Tensor:
        """What the first `depth` layers make of images [N, C, H, W]; all of them by default."""
        values = images.flatten(1)
        for layer in self.layers[:depth]:
            values = torch.sigmoid(layer(values))
        return values

    def forward(self, images: Tensor) -> Tensor:
        return self.units(self.features(images))

    @torch.no_grad()
    def pretrain(self, batches: Callable[[], Iterable[Tensor]], *, seed: int, report: Callable[[str], None]) -> None:
        """Train the layers one after another as Boltzmann machines.

        `batches()` gives one epoch of normalized images [N, C, H, W]: `pretrain_epochs` times a layer, and once more for the mean of its
        first batch. `report` gets one sentence a layer and epoch.
        """
        generator = Generator(self.units.weight.device).manual_seed(seed)
        for depth, layer in enumerate(self.layers if self.pretrain_epochs else ()):
            assert isinstance(layer, nn.Linear)
            gaussian = depth == 0
            bias = self.first_bias(self.features(next(iter(batches())), depth=depth), gaussian=gaussian)
            machine = Boltzmann(layer.weight, layer.bias, bias, gaussian)
            parts = (layer.weight, layer.bias, bias)
            speeds = [torch.zeros_like(part) for part in parts]
            rate = GAUSSIAN_RATE if gaussian else RATE
            for epoch in range(self.pretrain_epochs):
                errors = []
                for images in batches():
                    *directions, error = machine.contrast(
                        self.features(images, depth=depth), k=self.k, generator=generator
                    )
                    errors.append(error)
                    for part, speed, direction in zip(parts, speeds, directions, strict=True):
                        speed.mul_(MOMENTUM).add_(direction)
                        part.add_(speed, alpha=rate * (1 - MOMENTUM))
                report(
                    f"layer {depth + 1} of {len(self.layers)}, epoch {epoch + 1} of {self.pretrain_epochs}: "
                    f"reconstruction error {torch.stack(errors).mean():.4f}"
                )

    @staticmethod
    def first_bias(data: Tensor, *, gaussian: bool) -> Tensor:
        """The visible bias that alone explains the mean of `data` [N, V], so that the weights are free for what varies."""
        mean = data.mean(0)
        return mean if gaussian else torch.logit(mean, eps=1e-3)


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    widths: Sequence[AtLeast1] = (256, 256, 256, 256, 256, 128),
    pretrain_epochs: Count = 1,
    k: AtLeast1 = 1,
) -> nn.Module:
    """Sigmoid layers of `widths` units; each learns for `pretrain_epochs` by CD-`k` (0: not at all), then all by backpropagation."""
    return DBN(channels * prod(size), classes, widths=widths, k=k, pretrain_epochs=pretrain_epochs)
