"""Maps over an image: how many are made at once, and coarse ones upsampled. Shared by the methods."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

PIXELS = 512 * 28 * 28  # of all images of a batch: what was measured to be fast at 28 px; 8 images at 224 px


def batch_size(images: Tensor) -> int:
    """Images [N, C, H, W] that go through a network at once when gradients are kept, bounded by pixels; one at least."""
    return int(max(1, PIXELS // (images.shape[2] * images.shape[3])))


def upsample(maps: Tensor, model: Any, images: Tensor) -> Tensor:
    """Coarse maps [N, 1, h, w], bilinear, over images [N, C, H, W] -> [N, H, W]; the border that `model` gives an image is cut off."""
    height, width = images.shape[2:]
    _, right, _, bottom = model.border.padding if hasattr(model, "border") else (0, 0, 0, 0)
    padded = F.interpolate(maps, (height + bottom, width + right), mode="bilinear")
    return padded[:, 0, :height, :width]
