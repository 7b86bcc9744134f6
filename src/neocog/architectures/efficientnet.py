"""EfficientNet: one small network found by search, then depth, width and image size scaled together.

Tan, M. & Le, Q. (2019). EfficientNet: rethinking model scaling for convolutional neural networks. ICML. arXiv:1905.11946.

Its blocks are MobileNet's inverted residuals with squeeze-and-excitation (Hu et al. 2018), which weighs each map by a
look at all of them, SiLU activations and stochastic depth. `width` and `depth` are the paper's multipliers. Network
and ImageNet forms are torchvision's; the small-image form has four stages behind a stem that halves the image.
"""

from functools import partial

from torch import nn
from torchvision.models.efficientnet import EfficientNet, MBConvConfig

from neocog.architectures.blocks.global_pooling import GlobalAverage
from neocog.architectures.blocks.network import Network, from_torchvision, take_channels
from neocog.core.constrained_types import AtLeast1, Below1, Scale
from neocog.core.image_size import Size

YEAR = 2019
IDEA = "Depth, width and image size scaled together"
BLOCKS = ("norm", "activation", "global_pooling", "padding", "init")
FORMS = {
    "small": (75_040, 1_334_096),
    "efficientnet_b0": (5_288_548, 385_814_752),
    "efficientnet_b1": (7_794_184, 569_651_680),
    "efficientnet_b4": (19_341_616, 1_503_710_432),
    "efficientnet_b7": (66_347_960, 5_169_865_152),
}
STAGES = (  # expansion, kernel, stride, maps in, maps out, layers: as B0 begins, without its first halving
    (1, 3, 1, 16, 16, 1),
    (3, 3, 2, 16, 32, 1),
    (3, 5, 2, 32, 64, 2),
    (3, 3, 1, 64, 80, 1),
)


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    width: Scale = 0.75,
    depth: Scale = 1.0,
    last: AtLeast1 = 256,
    dropout: Below1 = 0.1,
    drop_path: Below1 = 0.0,
) -> nn.Module:
    """Four stages of inverted residuals, scaled by `width` and `depth`, and a 1x1 layer of `last` maps.

    `drop_path`: chance that a block of the last stage is left out for an image, falling to 0 at the first.
    """
    del size
    stage = partial(MBConvConfig, width_mult=width, depth_mult=depth)
    stages = [stage(*settings) for settings in STAGES]
    network = EfficientNet(stages, dropout, drop_path, classes, last_channel=last)
    take_channels(network, channels)
    return _in_two_parts(network)


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """A network of the paper; B0 is for 224 px, the others for larger images."""
    del size
    return _in_two_parts(from_torchvision(form, channels=channels, classes=classes))


def _in_two_parts(network: EfficientNet) -> Network:
    dropout, classifier = network.classifier
    return Network(network.features, nn.Sequential(GlobalAverage(), nn.Dropout(dropout.p), classifier))  # not in place
