"""Pooling: the maximum of a window, its mean, or one of its values by chance."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.architectures.blocks.network import exchange


class StochasticPool2d(nn.Module):
    """Maps [N, C, H, W] -> [N, C, h, w]: a value of each window, drawn with a probability in proportion to it.

    Zeiler, M. & Fergus, R. (2013). Stochastic pooling for regularization of deep convolutional neural networks. ICLR. arXiv:1301.3557.
    At test time the mean of the window, each value weighed by its probability. Negative values have probability 0, as after a ReLU.
    """

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, *, ceil_mode: bool = False) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride or kernel_size
        self.padding, self.ceil_mode = padding, ceil_mode

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps.clamp(min=0)
        how = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        if not self.training:
            return F.avg_pool2d(maps * maps, *how) / F.avg_pool2d(maps, *how).clamp(min=torch.finfo(maps.dtype).tiny)
        # The largest value over an exponential draw is each one with a probability in proportion to the value.
        draws = torch.empty_like(maps).exponential_().clamp(min=1e-20)
        _, chosen = F.max_pool2d(maps.detach() / draws, *how[:3], 1, self.ceil_mode, return_indices=True)
        return maps.flatten(2).gather(2, chosen.flatten(2)).view_as(chosen)


def apply(model: nn.Module, choice: str) -> int:
    """Exchange the pooling layers in `model`; how many there were."""
    kinds: dict[str, Any] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d, "stochastic": StochasticPool2d}

    def make(pool: Any) -> nn.Module:
        return kinds[choice](pool.kernel_size, pool.stride, pool.padding, ceil_mode=pool.ceil_mode)

    return exchange(model, tuple(kinds.values()), make)
