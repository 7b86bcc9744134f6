"""VGG: depth from nothing but 3x3 filters.

Simonyan, K. & Zisserman, A. (2015). Very deep convolutional networks for large-scale image recognition. ICLR. arXiv:1409.1556.

Two 3x3 layers see as far as one 5x5 with fewer weights and one more nonlinearity; blocks of them, halved by max pooling and doubled in
width, reach 16 to 19 layers, and two fully connected layers with dropout decide. The small-image form keeps that plan
with fewer, narrower blocks and batch normalization (2015), without which such plain networks train slowly.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from neocog.limits import AtLeast1, Below1

YEAR = 2014
IDEA = "Depth, from nothing but 3x3 filters"


class VGG(nn.Module):
    """Images [N, C, H, W] -> features [N, widths[-1], h, w] -> logits [N, classes]."""

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int,
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        units: int,
        dropout: float,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        side, inputs = size, channels
        for width, depth in zip(widths, depths, strict=True):
            for _ in range(depth):
                layers += [
                    nn.Conv2d(inputs, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
                inputs = width
            if side >= 2:
                layers.append(nn.MaxPool2d(2))
                side //= 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs * side * side, units),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(units, units),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(units, classes),
        )

    def forward_features(self, images: Tensor) -> Tensor:
        return self.features(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.forward_features(images))


def build(
    *,
    channels: int,
    size: int,
    classes: int,
    widths: Sequence[AtLeast1] = (16, 32, 64),
    depths: Sequence[AtLeast1] = (1, 2, 2),
    units: AtLeast1 = 128,
    dropout: Below1 = 0.5,
) -> nn.Module:
    """Blocks of `depths[i]` 3x3 layers of `widths[i]` filters, each halved by max pooling; then two layers of `units` with dropout."""
    if len(widths) != len(depths):
        raise ValueError(f"widths (={list(widths)}) and depths (={list(depths)}) must have one entry a block each")
    return VGG(channels, size, classes, widths=widths, depths=depths, units=units, dropout=dropout)
