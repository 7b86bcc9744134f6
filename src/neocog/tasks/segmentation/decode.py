"""Decoding inside the graph, behind the network: the class with the largest logit at each pixel."""

import torch
from torch import Tensor, nn

OUTPUTS = ("mask",)


class Decode(nn.Module):
    """Logits [N, K, H, W] -> masks uint8 [N, H, W], as large as the images that the graph is given."""

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(dim=1).to(torch.uint8)
