"""GoogLeNet: filters of several sizes side by side, made cheap by 1x1 bottlenecks.

Szegedy, C. et al. (2015). Going deeper with convolutions. CVPR. arXiv:1409.4842 (2014).

An Inception block looks at the same maps with 1x1, 3x3 and 5x5 filters and a pooling branch and joins what they find;
1x1 convolutions before the large filters keep it cheap, and one global average replaces the fully connected layers.
In training, auxiliary classifiers half-way up give the early layers a gradient of their own; the bundle is without
them. Blocks and ImageNet form are torchvision's, with batch normalization, and with 3x3 filters in the place of 5x5,
as there. The small-image form has two stages of blocks and one auxiliary classifier.
"""

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn
from torchvision.models.googlenet import GoogLeNet, Inception

from neocog.architectures.blocks.global_pooling import GlobalAverage
from neocog.architectures.blocks.network import Network, take_channels
from neocog.core.constrained_types import AtLeast1, Below1, Depth, Fraction
from neocog.core.image_size import Size

YEAR = 2014
IDEA = "Filters of several sizes side by side, 1x1 bottlenecks"
BLOCKS = ("norm", "activation", "pooling", "global_pooling", "padding", "init")
FORMS = {
    "small": (59_358, 1_981_344),
    "googlenet": (6_624_904, 1_498_376_192),
}


class Supervised(Network):
    """A network whose backbone comes in sections, each with an auxiliary classifier at its end but the last."""

    def __init__(
        self, sections: Sequence[nn.Module], auxiliary: Sequence[nn.Module], head: nn.Module, *, share: float
    ) -> None:
        super().__init__(nn.Sequential(*sections), head)
        self.auxiliary = nn.ModuleList(auxiliary)
        self.share = share

    def forward_auxiliary(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits [N, classes], and those of each auxiliary classifier; their losses count `share` each."""
        others = []
        for number, section in enumerate(cast(nn.Sequential, self.features)):
            images = section(images)
            if number < len(self.auxiliary):
                others.append(self.auxiliary[number](images))
        return self.head(images), others

    def drop_auxiliary(self) -> None:
        """Leave what is shipped: the network without its auxiliary classifiers."""
        self.auxiliary = nn.ModuleList()


class Conv(nn.Sequential):
    """Convolution, batch normalization, ReLU."""

    def __init__(self, inputs: int, outputs: int, **how: Any) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, bias=False, **how), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def inception(inputs: int, width: int) -> Inception:
    """An Inception block with 8 `width` maps out, in the paper's proportions (3a: 64, 96-128, 16-32, 32 of 256)."""
    return Inception(inputs, 2 * width, 3 * width, 4 * width, max(1, width // 2), width, width, conv_block=Conv)


def classifier(inputs: int, classes: int, *, dropout: float) -> nn.Module:
    """Logits from features [N, inputs, h, w]."""
    return nn.Sequential(GlobalAverage(), nn.Dropout(dropout), nn.Linear(inputs, classes))


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    stem: AtLeast1 = 16,
    widths: Sequence[AtLeast1] = (4, 8, 16),
    depths: Sequence[Depth] = (1, 2, 1),
    dropout: Below1 = 0.2,
    auxiliary: Fraction = 0.3,
) -> nn.Module:
    """Stages of `depths[i]` Inception blocks with 8 `widths[i]` maps, halved between, an auxiliary classifier after all but the last."""
    del size
    sections: list[nn.Module] = []
    inputs = stem
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        first = nn.MaxPool2d(3, 2, padding=1) if stage else Conv(channels, stem, kernel_size=3, stride=2, padding=1)
        blocks = [inception(inputs if number == 0 else 8 * width, width) for number in range(depth)]
        sections.append(nn.Sequential(first, *blocks))
        inputs = 8 * width
    others = [classifier(8 * width, classes, dropout=dropout) for width in widths[:-1]] if auxiliary else []
    return Supervised(sections, others, classifier(inputs, classes, dropout=dropout), share=auxiliary)


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """The network of the paper, for 224 px (15 px at least), with its two auxiliary classifiers."""
    del form, size
    paper = GoogLeNet(classes, aux_logits=True, init_weights=False)
    take_channels(paper, channels)
    parts = [
        [
            *(paper.conv1, paper.maxpool1, paper.conv2, paper.conv3, paper.maxpool2),
            *(paper.inception3a, paper.inception3b, paper.maxpool3, paper.inception4a),
        ],
        [paper.inception4b, paper.inception4c, paper.inception4d],
        [paper.inception4e, paper.maxpool4, paper.inception5a, paper.inception5b],
    ]
    for module in paper.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02)
    head = nn.Sequential(GlobalAverage(), paper.dropout, paper.fc)
    return Supervised([nn.Sequential(*part) for part in parts], [paper.aux1, paper.aux2], head, share=0.3)
