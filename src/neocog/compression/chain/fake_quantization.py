"""Fake quantization: a network that calculates in floats what its integer graph will calculate in integers.

Jacob, B. et al. (2018). Quantization and training of neural networks for efficient integer-arithmetic-only inference. CVPR.
arXiv:1712.05877. The gradient passes rounding as if it were not there (Bengio et al. 2013, arXiv:1308.3432).
"""

from collections.abc import Iterable

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from neocog.compression.chain.quantization_points import Rounding

PACE = 0.05  # with which ranges follow those of a training batch


class Rounded(nn.Module):
    """`network` with weights in `bits` bits, a step a channel, and 256 values between layers: images [N, C, H, W] -> logits [N, K].

    Weights are whole numbers of steps, from -64 to 64 for 7 bits and -127 to 127 for 8. Batches of `images` set the first ranges [points];
    in training they follow those of the batches, as the means of batch normalization do.
    """

    low: Tensor
    high: Tensor

    def __init__(self, network: nn.Module, *, bits: int, images: Iterable[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.levels = 127 if bits == 8 else 2 ** (bits - 1)
        self.register_buffer("low", None)
        self.register_buffer("high", None)
        self.measure(images)

    def forward(self, images: Tensor) -> Tensor:
        with Rounding(self.levels, low=self.low, high=self.high) as rounding:
            logits: Tensor = self.network(images)
        if self.training:
            low, high = rounding.seen()
            self.low.lerp_(low, PACE)
            self.high.lerp_(high, PACE)
        return logits

    def train(self, mode: bool = True) -> "Rounded":
        """As ever, but no branch is left out at random: the points would not be the same."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, DropPath | StochasticDepth):
                module.eval()
        return self

    @torch.no_grad()
    def measure(self, images: Iterable[Tensor]) -> None:
        """Set the ranges to the farthest values in batches of `images`, while weights alone are rounded: as the runtime's tool does."""
        self.eval()
        found = []
        for batch in images:
            with Rounding(self.levels) as rounding:
                self.network(batch)
            found.append(rounding.seen())
        self.low = torch.stack([low for low, _ in found]).amin(0)
        self.high = torch.stack([high for _, high in found]).amax(0)

    @torch.no_grad()
    def settled(self, images: Tensor) -> dict[str, Tensor]:
        """The state of the network, its weights rounded: where they are rounded is seen on `images`."""
        self.eval()
        with Rounding(self.levels) as rounding:
            self.network(images)
        for weight, rounded in rounding.learned.values():
            if isinstance(weight, nn.Parameter):  # others are calculated, and rounded by the runtime's tool alone
                weight.copy_(rounded)
        return self.network.state_dict()
