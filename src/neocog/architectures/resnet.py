"""ResNet: shortcuts that let very deep networks train.

He, K., Zhang, X., Ren, S. & Sun, J. (2016). Deep residual learning for image recognition. CVPR. arXiv:1512.03385.

A block learns what to add to its input instead of a new map, so the gradient has a way past every layer and more depth stops hurting. The
blocks and the ImageNet forms are torchvision's. The small-image form halves the image in a 3x3 stem, then has one stage a width; without
its shortcuts it is the plain network that the paper compares with.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, conv1x1
from torchvision.ops import StochasticDepth

from neocog.architectures.blocks.global_pooling import GlobalAverage
from neocog.architectures.blocks.network import Network, from_torchvision
from neocog.core.constrained_types import AtLeast1, Below1, Depth
from neocog.core.errors import UserError
from neocog.core.image_size import Size

YEAR = 2015
IDEA = "Shortcuts, so that more depth stops hurting"
BLOCKS = ("norm", "activation", "global_pooling", "padding", "init")
FORMS = {
    "small": (692_050, 7_785_696),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet101": (44_549_160, 7_801_405_440),
    "resnet152": (60_192_808, 11_513_626_624),
}


class PlainBlock(BasicBlock):
    """The block without its shortcut."""

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    widths: Sequence[AtLeast1] = (24, 48, 96, 192),
    depths: Sequence[Depth] = (1, 1, 1, 1),
    stem_stride: AtLeast1 = 2,
    shortcuts: bool = True,
    drop_path: Below1 = 0.0,
) -> nn.Module:
    """Stages of `depths[i]` residual blocks of `widths[i]` filters; every stage after the first halves the image.

    `drop_path`: chance that a block of the last stage is left out for an image (Huang et al. 2016, arXiv:1603.09382),
    falling to 0 at the first.
    """
    del size
    if len(widths) != len(depths):
        raise UserError(f"widths (={list(widths)}) and depths (={list(depths)}) must have one entry a stage each")
    inputs = widths[0]
    layers: list[nn.Module] = [
        nn.Conv2d(channels, inputs, 3, stem_stride, padding=1, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
    ]
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for number in range(depth):
            stride = 2 if stage and not number else 1
            shortcut = None
            if shortcuts and (stride != 1 or inputs != width):
                shortcut = nn.Sequential(conv1x1(inputs, width, stride), nn.BatchNorm2d(width))
            block = (BasicBlock if shortcuts else PlainBlock)(inputs, width, stride, shortcut)
            if drop_path and shortcuts:
                part = (sum(depths[:stage]) + number + 1) / sum(depths)
                block.bn2 = nn.Sequential(block.bn2, StochasticDepth(drop_path * part, "row"))
            layers.append(block)
            inputs = width
    network = Network(nn.Sequential(*layers), nn.Sequential(GlobalAverage(), nn.Linear(inputs, classes)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """A network of the paper, for 224 px."""
    del size
    paper = from_torchvision(form, channels=channels, classes=classes)
    parts = [paper.conv1, paper.bn1, paper.relu, paper.maxpool, paper.layer1, paper.layer2, paper.layer3, paper.layer4]
    return Network(nn.Sequential(*parts), nn.Sequential(GlobalAverage(), paper.fc))
