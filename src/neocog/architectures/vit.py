"""The vision transformer: an image as a sequence of patches, each attending to all others.

Dosovitskiy, A. et al. (2021). An image is worth 16x16 words: transformers for image recognition at scale. ICLR. arXiv:2010.11929 (2020).

Patches become vectors, a learned position is added, and layers of self-attention let every patch look at every other
one from the start, where a convolution sees only its neighbourhood. Nothing tells it that neighbours belong together,
so it needs more data or more regularization than a convolutional network. The transformer is timm's. The small-image
form averages over the patches instead of asking a class token (Beyer, Zhai & Kolesnikov 2022, arXiv:2205.01580), so
its backbone and head come apart; in the ImageNet forms the class token decides.
"""

from typing import Any

from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from neocog.architectures.blocks.network import check_multiple
from neocog.core.constrained_types import AtLeast1, Below1, Depth
from neocog.core.errors import UserError
from neocog.core.image_size import Size

YEAR = 2020
IDEA = "No convolution: patches that attend to each other"
BLOCKS = ("activation", "init")
FORMS = {
    "small": (138_890, 2_279_040),
    "vit_base_patch16_224": (86_567_656, 17_563_828_224),
    "vit_large_patch16_224": (304_326_632, 61_554_712_576),
}


class PatchNetwork(nn.Module):
    """A timm transformer over patches: images [N, C, H, W] -> features [N, F, h, w], one vector a patch -> logits [N, classes]."""

    def __init__(self, transformer: Any, *, below: int = 0, right: int = 0) -> None:
        super().__init__()
        self.border = nn.ZeroPad2d((0, right, 0, below))
        self.transformer = transformer

    def forward_features(self, images: Tensor) -> Tensor:
        """The vectors of the patches as maps."""
        tokens = self.transformer.forward_features(self.border(images))[:, self.transformer.num_prefix_tokens :]
        return tokens.transpose(1, 2).unflatten(2, self.transformer.patch_embed.grid_size)

    def feature_maps(self, images: Tensor) -> dict[int, Tensor]:
        """The same maps by their stride, the side of a patch."""
        return {self.transformer.patch_embed.patch_size[0]: self.forward_features(images)}

    def head(self, features: Tensor) -> Tensor:
        """Logits from the mean over the patches; not for forms that ask a class token."""
        return self.transformer.forward_head(features.flatten(2).transpose(1, 2))

    def forward(self, images: Tensor) -> Tensor:
        return self.transformer(self.border(images))


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    grid: AtLeast1 = 4,
    width: AtLeast1 = 64,
    depth: Depth = 4,
    heads: AtLeast1 = 4,
    expansion: AtLeast1 = 2,
    dropout: Below1 = 0.0,
    drop_path: Below1 = 0.0,
) -> nn.Module:
    """`depth` layers of `heads` attention heads over `grid` x `grid` patches as vectors of `width`, and `expansion` x
    `width` hidden units.

    An image that does not fit the grid gets a border of zeros, right and below; an oblong one has `grid` patches along its shorter side.
    `drop_path`: chance that a branch of the last layer is left out for an image, falling to 0 at the first.
    """
    patch = -(-min(size) // grid)
    below, right = (max(grid, -(-side // patch)) * patch - side for side in size)
    if width % heads:
        raise UserError(f"vit.width (={width}) must be a multiple of heads (={heads})")
    transformer = VisionTransformer(
        img_size=(size[0] + below, size[1] + right),
        patch_size=patch,
        in_chans=channels,
        num_classes=classes,
        global_pool="avg",
        class_token=False,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=expansion,
        drop_rate=dropout,
        drop_path_rate=drop_path,
        weight_init="jax",  # the paper's: timm's own default starts a narrow transformer too quietly
    )
    return PatchNetwork(transformer, below=below, right=right)


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """A network of the paper, for 224 px or any other multiple of 16."""
    from timm import create_model

    check_multiple(form, size, of=16)
    return PatchNetwork(create_model(form, img_size=size, in_chans=channels, num_classes=classes))
