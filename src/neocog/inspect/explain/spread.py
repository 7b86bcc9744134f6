"""Coarse places drawn over the image that they lie on."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F


def spread(places: Tensor, model: Any, images: Tensor) -> Tensor:
    """Places [N, 1, h, w] smooth over images [N, C, H, W] -> [N, H, W]; the border that `model` gives an image is cut off again."""
    height, width = images.shape[2:]
    _, right, _, below = model.border.padding if hasattr(model, "border") else (0, 0, 0, 0)
    whole = F.interpolate(places, (height + below, width + right), mode="bilinear")
    return whole[:, 0, :height, :width]
