"""Grad-CAM: the last feature maps, weighted by their mean gradient, where their sum is positive.

Selvaraju, R. et al. (2017). Grad-CAM: visual explanations from deep networks via gradient-based localization. ICCV. arXiv:1610.02391.
It is as fine as these maps: 2 x 2 places of a small network, or as many as a vision transformer has patches.
"""

from typing import Any

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch.nn import functional as F

PAPER = "Selvaraju et al. 2017"
SIGNED = False


class _Split(nn.Module):
    """A network whose last maps pass through a module of their own."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.maps = model, nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return _head(self.model, self.maps(self.model.forward_features(images)))


def maps(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Images [N, C, H, W], targets [N] -> [N, H, W], at least 0, drawn smooth between the places of the maps."""
    split = _Split(model)
    coarse = LayerGradCam(split, split.maps).attribute(images, target=targets, relu_attributions=True)
    return upsample(coarse.detach(), model, images)


@torch.no_grad()
def missing(model: nn.Module, images: Tensor) -> str:
    """The answer must follow from features that know places."""
    if not hasattr(model, "forward_features"):
        return "it has no features to ask"
    try:
        features = model.forward_features(images[:1])  # type: ignore[operator]
    except AttributeError:  # timm has networks without maps and without a grid of patches
        return "its features are no maps"
    if features.shape[2] * features.shape[3] == 1:
        return "its features are 1 x 1: they no longer know places"
    if not torch.allclose(_head(model, features), model(images[:1]), rtol=1e-3, atol=1e-4):
        return "a class token answers, not its features"
    return ""


def _head(model: Any, features: Tensor) -> Tensor:
    """Logits from the last maps [N, F, h, w], which a TimmNetwork, that has no head, wants as it gave them itself."""
    if hasattr(model, "head"):
        return model.head(features)
    if getattr(model.network, "output_fmt", "NCHW") == "NHWC":
        features = features.permute(0, 2, 3, 1)
    elif hasattr(model.network, "num_prefix_tokens"):
        features = features.flatten(2).transpose(1, 2)
    return model.network.forward_head(features)


def padded_size(model: Any, images: Tensor) -> tuple[int, int]:
    """Height and width of images [N, C, H, W] with the border that `model` gives them."""
    _, right, _, bottom = model.border.padding if hasattr(model, "border") else (0, 0, 0, 0)
    return images.shape[2] + bottom, images.shape[3] + right


def upsample(maps: Tensor, model: Any, images: Tensor) -> Tensor:
    """Coarse maps [N, 1, h, w], bilinear, over images [N, C, H, W] -> [N, H, W]; the border that `model` gives an image is cut off."""
    height, width = images.shape[2:]
    padded = F.interpolate(maps, padded_size(model, images), mode="bilinear")
    return padded[:, 0, :height, :width]
