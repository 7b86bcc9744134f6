"""The multilayer perceptron: hidden layers, trained by backpropagation.

Rumelhart, D. E., Hinton, G. E. & Williams, R. J. (1986). Learning representations by back-propagating errors. Nature 323, 533-536.

The chain rule carries the error of the last layer to every earlier one, so hidden units find features of their own. Where the perceptron
fails (XOR), one hidden layer is enough. ReLU stands in for the sigmoid of 1986, which needs many more epochs.
"""

from collections.abc import Sequence
from math import prod

from torch import nn

from neocog.core.constrained_types import AtLeast1, Below1
from neocog.core.image_size import Size

YEAR = 1986
IDEA = "Hidden layers that find their own features, by backpropagation"
BLOCKS = ("activation", "init")
FORMS = {"small": (235_146, 234_752)}


def build(
    *, channels: int, size: Size, classes: int, widths: Sequence[AtLeast1] = (256, 128), dropout: Below1 = 0.0
) -> nn.Module:
    """Fully connected layers of `widths` units with ReLU, then one unit a class: images [N, C, H, W] -> logits [N, classes]."""
    inputs = channels * prod(size)
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU(inplace=True)]
        if dropout:
            layers.append(nn.Dropout(dropout))
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))
