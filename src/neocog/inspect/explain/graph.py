"""A bundle's ONNX graph as a network: forward only, without gradients."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from neocog.bundle.read import Bundle


class Graph(nn.Module):
    """The graph in ONNX Runtime: images float [N, C, H, W], normalized -> logits [N, classes]."""

    def __init__(self, bundle: "Bundle", *, mean: Tensor, std: Tensor) -> None:
        """`mean` and `std` [C] in the pixel scale 0..255."""
        super().__init__()
        self.session, self.mean, self.std = bundle.session(), mean.view(-1, 1, 1), std.view(-1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images.detach() * self.std + self.mean).round().clamp(0, 255).to(torch.uint8)
        packed = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        return torch.from_numpy(self.session.run(None, {"images": packed})[0])
