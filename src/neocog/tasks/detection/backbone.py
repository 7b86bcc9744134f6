"""Backbone of a detector: any architecture by name, its maps of several strides summed into one."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from neocog import architectures
from neocog.core.errors import UserError, nearest
from neocog.core.image_size import Size
from neocog.core.validation import keywords

REDUCED = 32  # coarsest stride whose maps are taken


class Pyramid(nn.Module):
    """Images [N, C, H, W] -> one map [N, width, h, w] for each of `strides`, the finest first.

    Maps of the backbone from the finest stride to `REDUCED` are brought to the same width, and each is added to the next finer one, as
    large (Lin, T.-Y. et al. 2017, Feature pyramid networks, CVPR, arXiv:1612.03144).
    """

    def __init__(self, backbone: nn.Module, *, channels: int, size: Size, width: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.backbone, self.strides = backbone, strides
        with torch.no_grad():
            backbone.eval()
            maps = backbone.feature_maps(torch.zeros(1, channels, *size))  # type: ignore[operator]
            backbone.train()
        self.taken = tuple(sorted(stride for stride in maps if min(strides) <= stride <= REDUCED))
        if missing := [stride for stride in strides if stride not in self.taken]:
            raise UserError(
                f"stride (={missing[0]}): the backbone has maps of the strides {', '.join(map(str, sorted(maps)))} at this size; "
                f"set stride: {nearest_stride(missing[0], maps)}"
            )
        self.lateral = nn.ModuleList(nn.Conv2d(maps[stride].shape[1], width, 1) for stride in self.taken)
        self.smooth = nn.ModuleList(Conv2dNormActivation(width, width, 3) for _ in strides)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.backbone.feature_maps(images)  # type: ignore[operator]
        summed: Tensor | None = None
        found: dict[int, Tensor] = {}
        for stride, lateral in reversed(list(zip(self.taken, self.lateral, strict=True))):
            own = lateral(maps[stride])
            summed = own if summed is None else own + F.interpolate(summed, size=own.shape[2:], mode="nearest")
            found[stride] = summed
        return [smooth(found[stride]) for stride, smooth in zip(self.strides, self.smooth, strict=True)]


def nearest_stride(wanted: int, maps: Mapping[int, Tensor]) -> int:
    """Of the strides of `maps` the one next to `wanted`."""
    return min(maps, key=lambda stride: abs(stride - wanted))


def build(name: str, sizes: Mapping[str, Any], *, channels: int, size: Size) -> nn.Module:
    """The architecture `name` with its head taken off, of `sizes` as in a block of params.yaml.

    Raises UserError for an unknown name or key, and where the architecture has no maps.
    """
    known = architectures.backbones()
    if name not in known:
        raise UserError(f"backbone (={name!r}) has no feature maps or is unknown; {nearest(name, known)}")
    about = architectures.card(name)
    for key in sizes:
        if key not in about.sizes:
            raise UserError(f"backbone_sizes.{key}: {name} has no such key; {nearest(key, about.sizes)}")
    keywords(about.sizes, "backbone_sizes", dict(sizes))
    network: nn.Module = architectures.build(
        name, channels=channels, size=size, classes=2, sizes=architectures.sizes(name, sizes)
    )
    if hasattr(network, "head"):
        network.head = nn.Identity()
    return network
