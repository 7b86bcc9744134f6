"""ResNet: shortcuts that let very deep networks train.

He, K., Zhang, X., Ren, S. & Sun, J. (2016). Deep residual learning for image recognition. CVPR. arXiv:1512.03385.

A block learns what to add to its input instead of a new map, so the gradient has a way past every layer and more depth stops hurting. The
blocks are torchvision's. The small-image form halves the image in a 3x3 stem, then has one stage a width.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, conv1x1

from neocog.limits import AtLeast1

YEAR = 2015
IDEA = "Shortcuts, so that more depth stops hurting"


class GlobalAverage(nn.Module):
    """Features [N, F, h, w] -> their mean over the image [N, F]. Exports as one node, where AdaptiveAvgPool2d becomes eleven."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3))


class ResNet(nn.Module):
    """Images [N, C, H, W] -> features [N, widths[-1], h, w] -> logits [N, classes]."""

    def __init__(
        self, channels: int, classes: int, *, widths: Sequence[int], depths: Sequence[int], stem_stride: int
    ) -> None:
        super().__init__()
        inputs = widths[0]
        self.stem = nn.Sequential(
            nn.Conv2d(channels, inputs, 3, stem_stride, padding=1, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
        )
        blocks: list[nn.Module] = []
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for block in range(depth):
                stride = 2 if stage and not block else 1
                shortcut = None
                if stride != 1 or inputs != width:
                    shortcut = nn.Sequential(conv1x1(inputs, width, stride), nn.BatchNorm2d(width))
                blocks.append(BasicBlock(inputs, width, stride, shortcut))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(GlobalAverage(), nn.Linear(inputs, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, images: Tensor) -> Tensor:
        return self.blocks(self.stem(images))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.forward_features(images))


def build(
    *,
    channels: int,
    size: int,
    classes: int,
    widths: Sequence[AtLeast1] = (24, 48, 96, 192),
    depths: Sequence[AtLeast1] = (1, 1, 1, 1),
    stem_stride: AtLeast1 = 2,
) -> nn.Module:
    """Stages of `depths[i]` residual blocks of `widths[i]` filters; every stage after the first halves the image."""
    if len(widths) != len(depths):
        raise ValueError(f"widths (={list(widths)}) and depths (={list(depths)}) must have one entry a stage each")
    return ResNet(channels, classes, widths=widths, depths=depths, stem_stride=stem_stride)
