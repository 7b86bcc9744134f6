"""Saliency: the absolute gradient of the explained output by each pixel, largest channel.

Simonyan, K., Vedaldi, A. & Zisserman, A. (2014). Deep inside convolutional networks. ICLR workshop. arXiv:1312.6034.
"""

from captum.attr import Saliency
from torch import Tensor, nn

from neocog.architectures.madaline import Madaline
from neocog.bundle.rebuild import GraphNetwork

PAPER = "Simonyan et al. 2014"
SIGNED = False


def maps(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Images [N, C, H, W], targets [N] -> [N, H, W], at least 0."""
    return Saliency(model).attribute(images.clone().requires_grad_(), target=targets).amax(dim=1)


def missing(model: nn.Module, images: Tensor) -> str:
    """Integers and steps have no slope."""
    if isinstance(model, GraphNetwork):
        return "no gradient passes through a rounded graph"
    return "its hidden units are steps, which are flat almost everywhere" if isinstance(model, Madaline) else ""
