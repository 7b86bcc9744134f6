"""FCN: a classifier's layers at every pixel, whose scores of several strides are enlarged and added.

Long, J., Shelhamer, E. & Darrell, T. (2015). Fully convolutional networks for semantic segmentation. CVPR. arXiv:1411.4038.

The idea: a dense layer is a 1x1 convolution, so a network for images gives scores at every place. Kept: scores from the coarsest
map, enlarged and added to those of finer ones, to `stride`. Left out: the learned enlargement (it is bilinear, with which theirs began)
and the layers of 4096 features.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from neocog.core.constrained_types import AtLeast1
from neocog.core.image_size import Size
from neocog.tasks.segmentation.backbone import Backbone, enlarged

YEAR = 2014
IDEA = "A classifier at every pixel, scores of several strides added"
BLOCKS = ("norm", "activation", "padding")
FORMS = {"small": (693_510, 7_830_336)}


class FCN(nn.Module):
    """Images [N, C, H, W] -> logits [N, K, H, W]; scores are taken from the maps from the one at `finest` on."""

    def __init__(self, backbone: Backbone, *, finest: int, classes: int) -> None:
        super().__init__()
        self.backbone, self.finest = backbone, finest
        self.head = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in backbone.widths[finest:])

    def forward(self, images: Tensor) -> Tensor:
        scores = [head(maps) for head, maps in zip(self.head, self.backbone(images)[self.finest :], strict=True)]
        summed = scores[-1]
        for finer in reversed(scores[:-1]):
            summed = finer + enlarged(summed, size=finer.shape[2:])
        return enlarged(summed, size=images.shape[2:])


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    backbone: str = "resnet",
    backbone_sizes: Mapping[str, Any] = {},
    stride: AtLeast1 = 4,
) -> nn.Module:
    """Scores on the maps of `stride` and coarser of the architecture `backbone`, built with `backbone_sizes`."""
    network = Backbone(backbone, backbone_sizes, channels=channels, size=size)
    return FCN(network, finest=network.place(stride, key="stride"), classes=classes)
