"""VGG: depth from nothing but 3x3 filters.

Simonyan, K. & Zisserman, A. (2015). Very deep convolutional networks for large-scale image recognition. ICLR. arXiv:1409.1556.

Two 3x3 layers see as far as one 5x5 with fewer weights and one more nonlinearity; blocks of them, halved by max
pooling and doubled in width, reach 16 to 19 layers, and two fully connected layers with dropout decide. The ImageNet
forms are torchvision's. The small-image form keeps that plan with fewer, narrower blocks and batch normalization
(2015), without which such plain networks train slowly.
"""

from collections.abc import Sequence

from torch import nn

from neocog.architectures.blocks.network import Network, from_torchvision
from neocog.core.constrained_types import AtLeast1, Below1, Depth
from neocog.core.image_size import Size

YEAR = 2014
IDEA = "Depth, from nothing but 3x3 filters"
BLOCKS = ("norm", "activation", "pooling", "padding", "init")
FORMS = {
    "small": (161_338, 5_623_296),
    "vgg11": (132_863_336, 7_609_090_048),
    "vgg13": (133_047_848, 11_308_466_176),
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg19": (143_667_240, 19_632_062_464),
}


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    widths: Sequence[AtLeast1] = (16, 32, 64),
    depths: Sequence[Depth] = (1, 2, 2),
    units: AtLeast1 = 128,
    dropout: Below1 = 0.5,
) -> nn.Module:
    """Blocks of `depths[i]` layers of `widths[i]` filters, each halving the image, then two layers of `units` with `dropout`."""
    layers: list[nn.Module] = []
    height, width = size
    inputs = channels
    for filters, depth in zip(widths, depths, strict=True):
        for _ in range(depth):
            layers += [
                nn.Conv2d(inputs, filters, 3, padding=1, bias=False),
                nn.BatchNorm2d(filters),
                nn.ReLU(inplace=True),
            ]
            inputs = filters
        if min(height, width) >= 2:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
    head = nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs * height * width, units),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(units, units),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(units, classes),
    )
    return Network(nn.Sequential(*layers), head)


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """A network of the paper, for 224 px (32 px at least)."""
    del size
    paper = from_torchvision(form, channels=channels, classes=classes)
    return Network(paper.features, nn.Sequential(paper.avgpool, nn.Flatten(), paper.classifier))
