"""DenseNet: every layer sees the maps of all layers before it.

Huang, G., Liu, Z., van der Maaten, L. & Weinberger, K. (2017). Densely connected convolutional networks. CVPR. arXiv:1608.06993 (2016).

A layer adds a few maps (the growth rate) to a growing pile instead of making a new one, so features are used again
and few weights are enough; 1x1 bottlenecks inside a block and transitions between blocks keep the pile in bounds.
Network and ImageNet forms are torchvision's; the small-image form has a 3x3 stem that halves the image.
"""

from collections.abc import Sequence

from torch import nn
from torchvision.models.densenet import DenseNet

from neocog.architectures.blocks.global_pooling import GlobalAverage
from neocog.architectures.blocks.network import Network, from_torchvision
from neocog.core.constrained_types import AtLeast1, Below1, Depth
from neocog.core.image_size import Size

YEAR = 2016
IDEA = "Every layer sees all layers before it"
BLOCKS = ("norm", "activation", "pooling", "global_pooling", "padding", "init")
FORMS = {
    "small": (32_998, 2_260_524),
    "densenet121": (7_978_856, 2_834_161_664),
    "densenet161": (28_681_000, 7_727_907_072),
    "densenet169": (14_149_480, 3_359_843_328),
    "densenet201": (20_013_928, 4_291_365_888),
}


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    stem: AtLeast1 = 24,
    growth: AtLeast1 = 12,
    depths: Sequence[Depth] = (2, 3, 3),
    bottleneck: AtLeast1 = 2,
    dropout: Below1 = 0.0,
) -> nn.Module:
    """Blocks of `depths[i]` layers that each add `growth` maps, by way of `bottleneck` times as many; halved between blocks."""
    del size
    network = DenseNet(growth, tuple(depths), stem, bottleneck, dropout, classes)
    network.features.conv0 = nn.Conv2d(channels, stem, 3, 2, padding=1, bias=False)
    nn.init.kaiming_normal_(network.features.conv0.weight)
    del network.features.pool0
    return _in_two_parts(network)


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """A network of the paper, for 224 px (29 px at least)."""
    del size
    return _in_two_parts(from_torchvision(form, channels=channels, classes=classes))


def _in_two_parts(network: DenseNet) -> Network:
    features = nn.Sequential(*network.features, nn.ReLU(inplace=True))
    return Network(features, nn.Sequential(GlobalAverage(), network.classifier))
