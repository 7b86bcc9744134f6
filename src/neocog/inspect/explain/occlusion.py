"""Occlusion: how much the explained output falls when a patch of the image is covered. Needs no gradient.

Zeiler, M. & Fergus, R. (2014). Visualizing and understanding convolutional networks. ECCV. arXiv:1311.2901.
"""

import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from neocog.inspect.explain import batch_size

PAPER = "Zeiler & Fergus 2014"
SIGNED = True
PATCHES = 7  # across the image
AT_ONCE = 16  # positions of the patch that are asked about together


def maps(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Images [N, C, H, W], targets [N] -> [N, H, W]: by how much the logit falls without the patches that cover a pixel, on average.

    A patch is two sevenths of the image wide and moves by half its width; what it covers becomes the mean of the training images.
    """
    _, channels, height, width = images.shape
    step = (channels, max(1, height // PATCHES), max(1, width // PATCHES))
    window = (channels, min(height, 2 * step[1]), min(width, 2 * step[2]))
    with torch.no_grad():
        lost = Occlusion(model).attribute(
            images,
            sliding_window_shapes=window,
            strides=step,
            target=targets,
            baselines=0.0,
            perturbations_per_eval=max(1, min(AT_ONCE, batch_size(images) // len(images))),
        )
    return lost[:, 0]  # all channels of a pixel are covered at once


def missing(model: nn.Module, images: Tensor) -> str:
    """Every network can be asked."""
    return ""
