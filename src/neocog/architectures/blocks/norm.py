"""Normalization of feature maps [N, C, H, W]: over which axes mean and variance are taken.

batch: over N, H, W (Ioffe & Szegedy 2015, arXiv:1502.03167); layer: over C, H, W (Ba, Kiros & Hinton 2016, arXiv:1607.06450);
instance: over H, W (Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022); group: over H, W and a group of channels (Wu & He 2018,
arXiv:1803.08494); none: only the bias that the convolution before would have had.
"""

from typing import Any

import torch
from torch import Tensor, nn

from neocog.architectures.blocks.network import exchange


class ChannelBias(nn.Module):
    """One number a channel, added to maps [N, C, H, W]."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_features, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.bias


def num_groups(channels: int) -> int:
    """Groups of group normalization: the most up to 32, as in the paper, that divide `channels` and hold at least four of them."""
    return max(groups for groups in range(1, 33) if channels % groups == 0 and (groups == 1 or channels // groups >= 4))


def apply(model: nn.Module, choice: str) -> int:
    """Exchange the batch normalizations in `model`; how many there were. Of timm's, the activation in them stays."""
    kinds = {type(module) for module in model.modules() if isinstance(module, nn.BatchNorm2d)}

    def like(norm: Any) -> nn.Module:
        made = make(choice, norm.num_features)
        return nn.Sequential(made, norm.act) if hasattr(norm, "act") else made

    return exchange(model, tuple(kinds), like)


def make(choice: str, channels: int) -> nn.Module:
    """A normalization of maps with so many `channels`."""
    match choice:
        case "batch":
            return nn.BatchNorm2d(channels)
        case "layer":
            return nn.GroupNorm(1, channels)
        case "instance":
            return nn.InstanceNorm2d(channels, affine=True)
        case "group":
            return nn.GroupNorm(num_groups(channels), channels)
        case "none":
            return ChannelBias(channels)
    raise AssertionError(choice)
