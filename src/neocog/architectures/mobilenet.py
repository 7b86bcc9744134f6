"""MobileNetV2: a convolution taken apart into a filter for each map and a mixture of maps.

Sandler, M., Howard, A., Zhu, M., Zhmoginov, A. & Chen, L.-C. (2018). MobileNetV2: inverted residuals and linear bottlenecks. CVPR.
arXiv:1801.04381. Depthwise separable convolutions: Howard et al. (2017), MobileNets. arXiv:1704.04861.

A 3x3 filter on each map alone (depthwise) followed by 1x1 mixing costs about a ninth of a full convolution. A block
widens its input, filters it, and comes back through a linear bottleneck with a shortcut around it. Blocks and
ImageNet form are torchvision's; the small-image form has fewer, narrower stages.
"""

from collections.abc import Sequence

from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.ops import Conv2dNormActivation

from neocog.architectures.blocks.global_pooling import GlobalAverage
from neocog.architectures.blocks.network import Network, from_torchvision
from neocog.core.constrained_types import AtLeast1, Below1, Depth
from neocog.core.image_size import Size

YEAR = 2018
IDEA = "Depthwise convolutions and inverted residuals for phones"
BLOCKS = ("norm", "activation", "global_pooling", "padding", "init")
FORMS = {
    "small": (69_546, 1_460_664),
    "mobilenet_v2": (3_504_872, 300_774_272),
}


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    stem: AtLeast1 = 16,
    widths: Sequence[AtLeast1] = (16, 24, 48, 80),
    depths: Sequence[Depth] = (1, 2, 2, 1),
    expansion: AtLeast1 = 3,
    last: AtLeast1 = 192,
    dropout: Below1 = 0.0,
) -> nn.Module:
    """A stem that halves the image, then stages of `depths[i]` inverted residuals of `widths[i]` maps, halved between."""
    del size
    layers: list[nn.Module] = [Conv2dNormActivation(channels, stem, stride=2, activation_layer=nn.ReLU6)]
    inputs = stem
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for number in range(depth):
            layers.append(InvertedResidual(inputs, width, 2 if stage and not number else 1, expansion))
            inputs = width
    layers.append(Conv2dNormActivation(inputs, last, 1, activation_layer=nn.ReLU6))
    for module in nn.Sequential(*layers).modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    head = nn.Sequential(GlobalAverage(), nn.Dropout(dropout), nn.Linear(last, classes))
    return Network(nn.Sequential(*layers), head)


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """The network of the paper, for 224 px."""
    del size
    network = from_torchvision(form, channels=channels, classes=classes)
    return Network(network.features, nn.Sequential(GlobalAverage(), network.classifier))
