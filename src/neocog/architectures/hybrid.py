"""CoAtNet: convolutions first, attention after.

Dai, Z., Liu, H., Le, Q. & Tan, M. (2021). CoAtNet: marrying convolution and attention for all data sizes. NeurIPS. arXiv:2106.04803.

A convolution knows that neighbours belong together, attention sees the whole image at once. The early stages, on
large maps, are MobileNet's inverted residuals; the late ones, on small maps, are transformer layers with relative
positions. Blocks and ImageNet form are timm's; the small-image form has two stages of the first kind and one
of the second.
"""

from collections.abc import Sequence
from typing import Any

from timm.layers import LayerNorm2d
from timm.models.maxxvit import MaxxVitConvCfg, MaxxVitStage, MaxxVitTransformerCfg
from torch import nn
from torchvision.ops import Conv2dNormActivation

from neocog.architectures.blocks.global_pooling import GlobalAverage
from neocog.architectures.blocks.network import Network, check_multiple
from neocog.core.constrained_types import AtLeast1, Below1, Depth
from neocog.core.errors import UserError
from neocog.core.image_size import Size

YEAR = 2021
IDEA = "Convolutions first, attention after"
FORMS = {
    "small": (79_582, 1_977_056),
    "coatnet_0_224": (25_036_820, 4_546_507_776),
}
BLOCKS = ("norm", "activation", "init")


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    widths: Sequence[AtLeast1] = (16, 48, 96),
    depths: Sequence[Depth] = (1, 1, 1),
    expansion: AtLeast1 = 2,
    heads: AtLeast1 = 4,
    drop_path: Below1 = 0.0,
) -> nn.Module:
    """A convolution that halves the image and stages of `depths[i]` blocks of `widths[i]` maps, halved between:
    convolutions, in the last one attention.

    `drop_path`: chance that a block's branch is left out for an image.
    """
    if len(widths) != len(depths):
        raise UserError(f"widths (={list(widths)}) and depths (={list(depths)}) must have one entry a stage each")
    if widths[-1] % heads:
        raise UserError(f"hybrid.widths: the last (={widths[-1]}) must be a multiple of heads (={heads})")
    layers: list[nn.Module] = [
        Conv2dNormActivation(channels, widths[0], stride=2, activation_layer=nn.GELU, inplace=None)
    ]
    height, across = ((side + 1) // 2 for side in size)
    inputs = widths[0]
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        stride = 2 if stage else 1
        height, across = (height - 1) // stride + 1, (across - 1) // stride + 1
        layers.append(
            MaxxVitStage(
                inputs,
                width,
                stride=stride,
                depth=depth,
                feat_size=(height, across),
                block_types="T" if stage == len(widths) - 1 else "C",
                conv_cfg=MaxxVitConvCfg(expand_ratio=expansion, pool_type="avg", downsample_pool_type="avg"),
                transformer_cfg=MaxxVitTransformerCfg(dim_head=width // heads, expand_ratio=expansion, pool_type="avg"),
                drop_path=[drop_path] * depth,
            )
        )
        inputs = width
    return Network(
        nn.Sequential(*layers, LayerNorm2d(inputs)), nn.Sequential(GlobalAverage(), nn.Linear(inputs, classes))
    )


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """The network of the paper, for 224 px or another multiple of 32."""
    from timm import create_model

    check_multiple(form, size, of=32)
    paper: Any = create_model(form, img_size=size, in_chans=channels, num_classes=classes)
    return Network(nn.Sequential(paper.stem, paper.stages, paper.norm), paper.head)
