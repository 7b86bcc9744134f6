"""AlexNet: a convolutional network large enough for photographs, kept from overfitting by dropout.

Krizhevsky, A., Sutskever, I. & Hinton, G. (2012). ImageNet classification with deep convolutional neural networks. NIPS.

Eight layers: five convolutions with ReLU, which trains several times faster than tanh, overlapping max pooling (3x3
windows, stride 2) and three fully connected layers with dropout (Srivastava et al. 2014). It halved the error on
ImageNet and began the present. The ImageNet form is torchvision's, of the one-column network (Krizhevsky 2014,
arXiv:1404.5997); the small-image form keeps the plan with smaller filters. Left out: local response normalization,
which later work found of little use.
"""

from collections.abc import Sequence

from torch import nn

from neocog.architectures.blocks.network import Network, from_torchvision
from neocog.core.constrained_types import AtLeast1, Below1
from neocog.core.errors import UserError
from neocog.core.image_size import Size

YEAR = 2012
IDEA = "ReLU, dropout and much more data: deep networks win"
BLOCKS = ("activation", "pooling", "padding", "init")
FORMS = {
    "small": (253_258, 3_786_752),
    "alexnet": (61_100_840, 714_188_480),
}


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    widths: Sequence[AtLeast1] = (16, 32, 48, 48, 32),
    units: AtLeast1 = 256,
    dropout: Below1 = 0.2,
) -> nn.Module:
    """Five convolutions of `widths` filters, pooled after the first, second and last, and two layers of `units` with `dropout`."""
    if len(widths) != 5:
        raise UserError(f"alexnet.widths (={list(widths)}) must name the filters of five convolutions")
    layers: list[nn.Module] = []
    height, width = size
    inputs = channels
    for number, filters in enumerate(widths):
        kernel = 3 if number else 5
        layers += [nn.Conv2d(inputs, filters, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
        if number in (0, 1, 4) and max(height, width) > 1:
            layers.append(nn.MaxPool2d(3, 2, padding=1))
            height, width = (height + 1) // 2, (width + 1) // 2
        inputs = filters
    head = nn.Sequential(
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(inputs * height * width, units),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(units, units),
        nn.ReLU(inplace=True),
        nn.Linear(units, classes),
    )
    return Network(nn.Sequential(*layers), head)


def published(form: str, *, channels: int, size: Size, classes: int) -> nn.Module:
    """The network of the paper, for 224 px (63 px at least)."""
    del size
    paper = from_torchvision(form, channels=channels, classes=classes)
    return Network(paper.features, nn.Sequential(paper.avgpool, nn.Flatten(), paper.classifier))
