"""DeepLab: one coarse map seen through convolutions of several widths of gaps (atrous), then edges from one fine map.

Chen, L.-C., Papandreou, G., Schroff, F. & Adam, H. (2017). Rethinking atrous convolution for semantic image segmentation. arXiv:1706.05587.
Chen, L.-C. et al. (2018). Encoder-decoder with atrous separable convolution (DeepLabv3+). ECCV. arXiv:1802.02611.

The idea: objects of all sizes are recognized on one map if it is looked at with several receptive fields at once, which gaps between
weights give for free. Kept: the pyramid of atrous convolutions with a 1x1 and the mean of the image, and v3+'s fine map. Left out:
gaps in the backbone itself, which is any architecture by name, and separable convolutions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from neocog.core.constrained_types import AtLeast1
from neocog.core.image_size import Size
from neocog.tasks.segmentation.backbone import Backbone, enlarged

YEAR = 2016
IDEA = "Several receptive fields on one map by gaps between weights"
BLOCKS = ("norm", "activation", "padding")
FORMS = {"small": (946_386, 19_919_712)}


class DeepLab(nn.Module):
    """Images [N, C, H, W] -> logits [N, K, H, W] from the maps at the places `coarse` and `fine` of the backbone."""

    def __init__(
        self, backbone: Backbone, *, coarse: int, fine: int, rates: Sequence[int], width: int, classes: int
    ) -> None:
        super().__init__()
        self.backbone, self.coarse, self.fine = backbone, coarse, fine
        inputs = backbone.widths[coarse]
        self.pyramid = nn.ModuleList(
            [
                Conv2dNormActivation(inputs, width, 1),
                *(Conv2dNormActivation(inputs, width, 3, dilation=rate) for rate in rates),
            ]
        )
        self.mean = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.ReLU(inplace=True))  # one place: nothing to normalize
        self.project = Conv2dNormActivation(width * (len(rates) + 2), width, 1)
        self.lateral = Conv2dNormActivation(backbone.widths[fine], width // 2 or 1, 1)
        self.refine = Conv2dNormActivation(width + (width // 2 or 1), width, 3)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.backbone(images)
        coarse, fine = maps[self.coarse], self.lateral(maps[self.fine])
        mean = self.mean(coarse.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *coarse.shape[2:])
        seen = self.project(torch.cat([*(layer(coarse) for layer in self.pyramid), mean], dim=1))
        refined = self.refine(torch.cat([enlarged(seen, size=fine.shape[2:]), fine], dim=1))
        return enlarged(self.head(refined), size=images.shape[2:])


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    backbone: str = "resnet",
    backbone_sizes: Mapping[str, Any] = {},
    stride: AtLeast1 = 8,
    fine_stride: AtLeast1 = 2,
    rates: Sequence[AtLeast1] = (1, 2, 4),
    width: AtLeast1 = 64,
) -> nn.Module:
    """Atrous convolutions of `rates` on the map of `stride`, edges from that of `fine_stride`, `width` wide; both are of the architecture
    `backbone`, built with `backbone_sizes`."""
    network = Backbone(backbone, backbone_sizes, channels=channels, size=size)
    places = {"coarse": network.place(stride, key="stride"), "fine": network.place(fine_stride, key="fine_stride")}
    return DeepLab(network, **places, rates=rates, width=width, classes=classes)
