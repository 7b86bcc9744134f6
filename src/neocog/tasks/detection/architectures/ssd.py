"""SSD: boxes of several sizes and shapes at every place of several maps, each asked whether it is an object and how far it is off.

Liu, W. et al. (2016). SSD: single shot multibox detector. ECCV. arXiv:1512.02325. Lin, T.-Y. et al. (2017). Focal loss for dense object
detection (RetinaNet). ICCV. arXiv:1708.02002.

The idea: large objects are found on coarse maps and small ones on fine maps, in one pass, by correcting default boxes (anchors). Kept:
default boxes of two scales and three shapes on maps of several strides, a class and four corrections for each. From RetinaNet: coarse maps
are added to the finer ones, and the focal loss takes the place of mining hard negatives. Left out: the L2-normalized map, and the backbone,
which is any architecture by name.
"""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from neocog.core.constrained_types import AtLeast1
from neocog.core.image_size import Size
from neocog.tasks.detection import backbone as backbones
from neocog.tasks.detection.backbone import Pyramid

YEAR = 2015
IDEA = "Default boxes on maps of several strides, in one pass"
BLOCKS = ("norm", "activation", "padding")
FORMS = {"small": (862_108, 10_250_592)}
RARE = 0.01  # probability of an object at an anchor before anything is learned
SIDE = 2.5  # strides that the side of the smaller anchors takes
SCALES = (1.0, 1.6)
RATIOS = (1.0, 0.5, 2.0)  # width over height
VARIANCES = (0.1, 0.2)  # by which corrections of centre and side are divided
LARGEST = 4.0  # of the logarithm of a correction of a side


class Anchors(nn.Module):
    """Images [N, C, H, W] -> outputs [N, A, 8 + K] over the anchors of all maps: the anchor, its corrected box, its logits."""

    def __init__(self, features: Pyramid, *, width: int, classes: int, size: Size) -> None:
        super().__init__()
        self.features, self.classes, self.size = features, classes, size
        each = len(SCALES) * len(RATIOS)
        self.head = nn.ModuleDict(
            {
                "classes": nn.Sequential(Conv2dNormActivation(width, width, 3), nn.Conv2d(width, each * classes, 1)),
                "corrections": nn.Sequential(Conv2dNormActivation(width, width, 3), nn.Conv2d(width, each * 4, 1)),
            }
        )
        nn.init.constant_(self.head["classes"][-1].bias, -log((1 - RARE) / RARE))  # type: ignore[index]

    def forward(self, images: Tensor) -> Tensor:
        priors, corrections, logits = [], [], []
        for stride, maps in zip(self.features.strides, self.features(images), strict=True):
            priors.append(anchors(maps.shape[2], maps.shape[3], stride, device=maps.device))
            logits.append(self.head["classes"](maps).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, self.classes)))
            corrections.append(self.head["corrections"](maps).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4)))
        every = torch.cat(priors)
        off = torch.cat(corrections, dim=1).float()
        middle, side = (every[:, :2] + every[:, 2:]) / 2, every[:, 2:] - every[:, :2]
        middle = middle + off[..., :2] * VARIANCES[0] * side
        side = side * (off[..., 2:] * VARIANCES[1]).clamp(max=LARGEST).exp()
        sides = torch.tensor([self.size[1], self.size[0]], device=side.device, dtype=side.dtype)
        low, high = (middle - side / 2).clamp(min=0), torch.minimum(middle + side / 2, sides)
        low = torch.minimum(low, high)
        given = every.expand(images.shape[0], -1, -1).to(low)
        return torch.cat([given, low, high, torch.cat(logits, dim=1).to(low)], dim=-1)


def anchors(rows: int, columns: int, stride: int, *, device: torch.device) -> Tensor:
    """The default boxes [rows * columns * scales * ratios, 4] of a map, in pixels of the image, place by place."""
    x = (torch.arange(columns, device=device) + 0.5) * stride
    y = (torch.arange(rows, device=device) + 0.5) * stride
    middle = torch.stack([x.repeat(rows), y.repeat_interleave(columns)], dim=-1)[:, None]
    half = torch.tensor(
        [
            [SIDE * stride * scale * ratio**0.5 / 2, SIDE * stride * scale / ratio**0.5 / 2]
            for scale in SCALES
            for ratio in RATIOS
        ],
        device=device,
    )
    return torch.cat([middle - half, middle + half], dim=-1).flatten(0, 1)


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    backbone: str = "resnet",
    backbone_sizes: Mapping[str, Any] = {},
    strides: Sequence[AtLeast1] = (8, 16),
    width: AtLeast1 = 64,
) -> nn.Module:
    """Anchors on maps of the `strides`, `width` wide, of the architecture `backbone`, built with `backbone_sizes`."""
    network = backbones.build(backbone, backbone_sizes, channels=channels, size=size)
    features = Pyramid(network, channels=channels, size=size, width=width, strides=tuple(sorted(strides)))
    return Anchors(features, width=width, classes=classes, size=size)
