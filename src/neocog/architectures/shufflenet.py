"""ShuffleNetV2: half of the maps go through, half around, and a shuffle mixes them.

Ma, N., Zhang, X., Zheng, H.-T. & Sun, J. (2018). ShuffleNet V2: practical guidelines for efficient CNN architecture design. ECCV.
arXiv:1807.11164.

Counting multiplications does not tell how fast a network is: memory traffic and many small operations cost time too.
So a block splits its maps, works on one half with as many maps in as out, joins the halves and shuffles the maps,
which lets the next block see both. Network and ImageNet forms are torchvision's; the small-image form has narrower
stages and no pooling behind the stem.
"""

from collections.abc import Sequence

from torch import nn
from torchvision.models.shufflenetv2 import ShuffleNetV2

from neocog.architectures.blocks.global_pooling import GlobalAverage
from neocog.architectures.blocks.network import Network, from_torchvision
from neocog.core.constrained_types import AtLeast1, Depth
from neocog.core.errors import UserError
from neocog.core.image_size import Size

YEAR = 2018
IDEA = "Split and shuffle: few multiplications, little memory traffic"
BLOCKS = ("norm", "activation", "global_pooling", "padding", "init")
FORMS = {
    "small": (39_898, 1_527_776),
    "shufflenet_v2_x0_5": (1_366_792, 40_476_448),
    "shufflenet_v2_x1_0": (2_278_604, 144_907_992),
    "shufflenet_v2_x1_5": (3_503_624, 295_759_392),
    "shufflenet_v2_x2_0": (7_393_996, 583_253_464),
}


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    stem: AtLeast1 = 16,
    widths: Sequence[AtLeast1] = (32, 64, 128),
    depths: Sequence[Depth] = (1, 2, 1),
    last: AtLeast1 = 128,
) -> nn.Module:
    """Three stages of `depths[i]` units with `widths[i]` maps (even), each halving the image, and a 1x1 layer of `last` maps."""
    del size
    if len(widths) != 3 or len(depths) != 3 or any(width % 2 for width in widths):
        raise UserError(
            f"shufflenet has three stages of an even width: widths (={list(widths)}), depths (={list(depths)})"
        )
    network = ShuffleNetV2(list(depths), [stem, *widths, last], classes)
    network.conv1[0] = nn.Conv2d(channels, stem, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return _in_two_parts(network)


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """A network of the paper, for 224 px."""
    del size
    return _in_two_parts(from_torchvision(form, channels=channels, classes=classes))


def _in_two_parts(network: ShuffleNetV2) -> Network:
    stages = (network.conv1, network.maxpool, network.stage2, network.stage3, network.stage4, network.conv5)
    return Network(nn.Sequential(*stages), nn.Sequential(GlobalAverage(), network.fc))
