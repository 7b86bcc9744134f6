"""Which places of the last maps spoke for the class? The maps, weighed by their mean gradient, where their sum is above 0.

Selvaraju, R. et al. (2017). Grad-CAM: visual explanations from deep networks via gradient-based localization. ICCV. arXiv:1610.02391.
It is as fine as these maps: 2 x 2 places of a small network, or as many as a vision transformer has patches.
"""

from typing import Any

import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor, nn

PAPER = "Selvaraju et al. 2017"
SIGNED = False


class _Split(nn.Module):
    """A network whose last maps pass through a module of their own."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.maps = model, nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.model.head(self.maps(self.model.forward_features(images)))


def maps(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Images [N, C, H, W], targets [N] -> [N, H, W], at least 0, drawn smooth between the places of the maps."""
    split = _Split(model)
    coarse = LayerGradCam(split, split.maps).attribute(images, target=targets, relu_attributions=True)
    size = (images.shape[2], images.shape[3])
    return LayerAttribution.interpolate(coarse.detach(), size, interpolate_mode="bilinear").squeeze(1)


def missing(model: nn.Module, images: Tensor) -> str:
    """Features without places have no map."""
    if not hasattr(model, "forward_features"):
        return "it has no features to ask"
    with torch.no_grad():
        height, width = model.forward_features(images[:1]).shape[2:]  # type: ignore[operator]
    return "" if height * width > 1 else "its features are 1 x 1: they no longer know places"
