"""Apply a list of augmentations to packed batches, each image with a chance of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from neocog.data.augmentations import methods


class Augmentations:
    """Those that `augment` lists, one after the other, for images of `size` (height, width); `fill` is the mean color 0..255 by channel.

    torchvision's transforms draw once a call, so they are called image by image; the generator is torch's own, whose state is derived from
    seed and step.
    """

    def __init__(self, augment: Sequence[Mapping[str, Any]], *, size: tuple[int, int], fill: Sequence[float]) -> None:
        self.steps: list[tuple[float, Any]] = []
        for entry in augment:
            settings = {key: value for key, value in entry.items() if key not in ("method", "chance")}
            made = getattr(methods, entry["method"])(size=size, fill=tuple(fill), **settings)
            self.steps.append((float(entry.get("chance", 1.0)), made))

    def __call__(self, images: Tensor) -> Tensor:
        """Packed images uint8 [N, H, W, C], augmented."""
        changed = [self._one(image) for image in images.permute(0, 3, 1, 2).contiguous()]
        return torch.stack(changed).permute(0, 2, 3, 1).contiguous()

    def _one(self, image: Tensor) -> Tensor:
        for chance, step in self.steps:
            if chance == 1.0 or float(torch.rand(())) < chance:
                image = step(image)
        return image
