"""Padding mode of convolutions."""

from torch import nn


def apply(model: nn.Module, choice: str) -> int:
    """Set the padding mode of the convolutions in `model` that have a border; how many there are."""
    found = [each for each in model.modules() if isinstance(each, nn.Conv2d) and any(each.padding)]
    for convolution in found:
        convolution.padding_mode = choice  # type: ignore[assignment]
    return len(found)
