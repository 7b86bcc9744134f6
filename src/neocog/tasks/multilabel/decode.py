"""Decoding inside the graph, behind the network: logits -> the probability of each label."""

from torch import Tensor, nn

OUTPUTS = ("probabilities",)


class Decode(nn.Module):
    """Logits [N, K] -> probabilities [N, K], each label for itself."""

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid()
