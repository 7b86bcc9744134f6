"""LeNet-5: convolution, subsampling, convolution, subsampling, then fully connected layers.

LeCun, Y., Bottou, L., Bengio, Y. & Haffner, P. (1998). Gradient-based learning applied to document recognition. Proc.
IEEE 86(11), 2278-2324.

The same small filters are used everywhere in the image (shared weights), look at a small patch (local receptive fields) and their maps
are averaged down, so that what is found matters more than where. The paper's 32 px input is a 28 px image with a
border of 2: `padding=2` in the first layer is the same thing. Kept from the paper: 6 and 16 maps, 5x5 filters, tanh,
average pooling, 120 and 84 units. Left out: the sparse table between the maps of S2 and C3, the trainable pooling
coefficients, and the radial-basis output layer (a linear one instead).
"""

from torch import nn

from neocog.architectures.blocks.network import Network
from neocog.core.constrained_types import AtLeast1
from neocog.core.image_size import Size

YEAR = 1998
IDEA = "Shared local filters and pooling: the convolutional network"
BLOCKS = ("activation", "pooling", "padding", "init")
FORMS = {"small": (61_706, 416_520)}


def build(*, channels: int, size: Size, classes: int, width: AtLeast1 = 1) -> nn.Module:
    """LeNet-5; `width` multiplies the maps and units of the paper (1 = 61,706 parameters at 28 px gray and ten classes)."""
    maps, units = (6 * width, 16 * width), (120 * width, 84 * width)
    padding = 0 if min(size) >= 12 else 2  # below 12 px a 5x5 filter without a border would leave nothing
    height, across = ((side // 2 - 4 + 2 * padding) // 2 for side in size)
    features = nn.Sequential(
        nn.Conv2d(channels, maps[0], 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(maps[0], maps[1], 5, padding=padding),
        nn.Tanh(),
        nn.AvgPool2d(2),
    )
    head = nn.Sequential(
        nn.Flatten(),
        nn.Linear(maps[1] * height * across, units[0]),
        nn.Tanh(),
        nn.Linear(units[0], units[1]),
        nn.Tanh(),
        nn.Linear(units[1], classes),
    )
    return Network(features, head)
