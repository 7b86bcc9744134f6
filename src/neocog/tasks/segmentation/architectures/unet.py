"""U-Net: a way down that sees what is there, a way up that says where, and a bridge between both at every stride.

Ronneberger, O., Fischer, P. & Brox, T. (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI. arXiv:1505.04597.

The idea: coarse maps know the class and fine maps the edges, so each step up takes the fine map of the same stride beside the coarse one.
Kept: the bridges by concatenation, two convolutions a step. Left out: transposed convolutions, in whose place maps are resized (no
checkerboards, and integers hold), unpadded convolutions, and the way down itself, which is any architecture by name.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from neocog.core.constrained_types import AtLeast1
from neocog.core.image_size import Size
from neocog.tasks.segmentation.backbone import Backbone, enlarged

YEAR = 2015
IDEA = "Bridges from the way down to the way up, at every stride"
BLOCKS = ("norm", "activation", "padding")
FORMS = {"small": (1_343_378, 29_061_728)}


class UNet(nn.Module):
    """Images [N, C, H, W] -> logits [N, K, H, W]."""

    def __init__(self, backbone: Backbone, *, width: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        steps, inputs = [], backbone.widths[-1]
        for place, skip in reversed(list(enumerate(backbone.widths[:-1]))):
            outputs = width * 2**place
            steps.append(
                nn.Sequential(
                    Conv2dNormActivation(inputs + skip, outputs, 3), Conv2dNormActivation(outputs, outputs, 3)
                )
            )
            inputs = outputs
        self.steps = nn.ModuleList(steps)
        self.head = nn.Conv2d(inputs, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        *fine, maps = self.backbone(images)
        for step, skip in zip(self.steps, reversed(fine), strict=True):
            maps = step(torch.cat([enlarged(maps, size=skip.shape[2:]), skip], dim=1))
        return enlarged(self.head(maps), size=images.shape[2:])


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    backbone: str = "resnet",
    backbone_sizes: Mapping[str, Any] = {},
    width: AtLeast1 = 32,
) -> nn.Module:
    """A way up over all maps of the architecture `backbone`, built with `backbone_sizes`: `width` wide at the finest, twice a step down."""
    return UNet(Backbone(backbone, backbone_sizes, channels=channels, size=size), width=width, classes=classes)
