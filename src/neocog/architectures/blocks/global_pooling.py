"""Global pooling between backbone and head (Lin, Chen & Yan 2014, arXiv:1312.4400)."""

from torch import Tensor, nn

from neocog.architectures.blocks.network import exchange


class GlobalAverage(nn.Module):
    """Features [N, F, h, w] -> their mean over the image [N, F]. Exports as one node, where AdaptiveAvgPool2d becomes eleven."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3))


class GlobalMax(nn.Module):
    """Features [N, F, h, w] -> their maximum over the image [N, F]."""

    def forward(self, features: Tensor) -> Tensor:
        return features.amax((2, 3))


def apply(model: nn.Module, choice: str) -> int:
    """Exchange the global pooling in `model`; how many there were."""
    kind = {"average": GlobalAverage, "max": GlobalMax}[choice]
    return exchange(model, (GlobalAverage, GlobalMax), lambda _: kind())
