"""How many images go through a network together when gradients are kept: bounded by pixels, not to grow with their size."""

from torch import Tensor

PIXELS = 512 * 28 * 28  # of all images together: what was measured to be fast at 28 px; 8 at 224 px


def together(images: Tensor) -> int:
    """So many images [N, C, H, W] at once; one at least."""
    return int(max(1, PIXELS // (images.shape[2] * images.shape[3])))
