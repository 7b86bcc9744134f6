"""YOLO without anchors: one look at the image, and every cell of a grid says what is centred in it and how far the box reaches.

Redmon, J., Divvala, S., Girshick, R. & Farhadi, A. (2016). You only look once: unified, real-time object detection. CVPR. arXiv:1506.02640.
Zhou, X., Wang, D. & Kraehenbuehl, P. (2019). Objects as points. arXiv:1904.07850. Ge, Z. et al. (2021). YOLOX. arXiv:2107.08430.

The idea: no proposals and no second stage; detection is one regression from pixels to boxes and classes, and so fast. Kept from YOLO: the
grid, one pass, a box and the classes for each cell. From its successors: no anchors, a heat map whose peaks are the centres of objects,
distances from the cell to the four sides, the generalized IoU as their loss. Left out: the box's own confidence and the backbone, which is
any architecture by name, its coarse maps summed into one fine one.
"""

from collections.abc import Mapping
from math import log
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from neocog.core.constrained_types import AtLeast1
from neocog.core.image_size import Size
from neocog.tasks.detection import backbone as backbones
from neocog.tasks.detection.backbone import Pyramid

YEAR = 2016
IDEA = "Detection as one regression over a grid, in one look"
BLOCKS = ("norm", "activation", "padding")
FORMS = {"small": (823_702, 13_544_672)}
RARE = 0.01  # probability of an object in a cell before anything is learned
REACH = 4.0  # distances lie between exp(-REACH) and exp(REACH) times twice the stride


class Grid(nn.Module):
    """Images [N, C, H, W] -> outputs [N, h * w, 8 + K]: the centre of each cell as its prior, its box and logits."""

    def __init__(self, features: Pyramid, *, width: int, classes: int, stride: int, size: Size) -> None:
        super().__init__()
        self.features, self.stride, self.size = features, stride, size
        self.head = nn.ModuleDict(
            {
                "classes": nn.Sequential(Conv2dNormActivation(width, width, 3), nn.Conv2d(width, classes, 1)),
                "distances": nn.Sequential(Conv2dNormActivation(width, width, 3), nn.Conv2d(width, 4, 1)),
            }
        )
        nn.init.constant_(self.head["classes"][-1].bias, -log((1 - RARE) / RARE))  # type: ignore[index]

    def forward(self, images: Tensor) -> Tensor:
        (maps,) = self.features(images)
        logits = self.head["classes"](maps).flatten(2).transpose(1, 2)
        reach = self.head["distances"](maps).flatten(2).transpose(1, 2).float()
        distances = reach.clamp(-REACH, REACH).exp() * (2 * self.stride)
        x = (torch.arange(maps.shape[3], device=maps.device) + 0.5) * self.stride
        y = (torch.arange(maps.shape[2], device=maps.device) + 0.5) * self.stride
        points = torch.stack([x.repeat(maps.shape[2]), y.repeat_interleave(maps.shape[3])], dim=-1)
        sides = images.new_tensor([self.size[1], self.size[0]])
        low = (points - distances[..., :2]).clamp(min=0)
        high = torch.minimum(points + distances[..., 2:], sides.to(distances.dtype))
        priors = torch.cat([points, points], dim=-1).expand(images.shape[0], -1, -1)
        return torch.cat([priors.to(low), low, high, logits.to(low)], dim=-1)


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    backbone: str = "resnet",
    backbone_sizes: Mapping[str, Any] = {},
    stride: Literal[2, 4, 8, 16] = 4,
    width: AtLeast1 = 64,
) -> nn.Module:
    """A grid of cells `stride` pixels wide over the maps, `width` wide, of the architecture `backbone`, built with `backbone_sizes`."""
    network = backbones.build(backbone, backbone_sizes, channels=channels, size=size)
    features = Pyramid(network, channels=channels, size=size, width=width, strides=(stride,))
    return Grid(features, width=width, classes=classes, stride=stride, size=size)
