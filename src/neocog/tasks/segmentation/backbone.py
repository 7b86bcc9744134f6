"""Backbone of a network for segmentation: any architecture by name, and its maps from a finest stride on."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.tasks.detection.backbone import build


class Backbone(nn.Module):
    """Images [N, C, H, W] -> the maps [N, widths[i], h, w] of `strides`, the finest first."""

    def __init__(self, name: str, sizes: Mapping[str, Any], *, channels: int, size: Size) -> None:
        super().__init__()
        self.network = build(name, sizes, channels=channels, size=size)
        with torch.no_grad():
            self.network.eval()
            maps = self.network.feature_maps(torch.zeros(1, channels, *size))  # type: ignore[operator]
            self.network.train()
        self.strides = tuple(sorted(maps))
        self.widths = tuple(maps[stride].shape[1] for stride in self.strides)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.network.feature_maps(images)  # type: ignore[operator]
        return [maps[stride] for stride in self.strides]

    def place(self, stride: int, *, key: str) -> int:
        """Where the map of a stride is in what `forward` gives. Raises UserError naming the params `key` if there is none."""
        if stride not in self.strides:
            near = min(self.strides, key=lambda each: abs(each - stride))
            raise UserError(
                f"{key} (={stride}): the backbone has maps of the strides {', '.join(map(str, self.strides))} at this size; "
                f"set {key}: {near}"
            )
        return self.strides.index(stride)


def enlarged(maps: Tensor, *, size: Sequence[int]) -> Tensor:
    """Maps [N, F, h, w] -> [N, F, *size], bilinear; integers and other runtimes take a resize better than a transposed convolution."""
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
