"""Integrated gradients: what each pixel adds to the output on the path from an average image; the parts sum to its rise.

Sundararajan, M., Taly, A. & Yan, Q. (2017). Axiomatic attribution for deep networks. ICML. arXiv:1703.01365.
"""

import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from neocog.inspect.explain import batch_size, saliency

PAPER = "Sundararajan et al. 2017"
SIGNED = True
STEPS = 64  # between the two images


def maps(model: nn.Module, images: Tensor, targets: Tensor, *, steps: int = STEPS) -> Tensor:
    """Images [N, C, H, W], targets [N] -> [N, H, W]; above 0 speaks for the class.

    The way begins at 0, which is the mean of the training images, and has so many `steps`.
    """
    batch = batch_size(images)
    parts = [
        IntegratedGradients(model).attribute(
            image, baselines=0.0, target=target, n_steps=steps, internal_batch_size=batch
        )
        for image, target in zip(images.split(batch), targets.split(batch), strict=True)
    ]
    return torch.cat(parts).sum(dim=1)


def missing(model: nn.Module, images: Tensor) -> str:
    """What has no slope has none on the way either."""
    return saliency.missing(model, images)
