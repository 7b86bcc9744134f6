"""What a classifier minimizes."""

import torch.nn.functional as F
from torch import Tensor


def loss(logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    """Mean cross-entropy over logits [N, K] and targets: labels [N] or shares [N, K]; of each image [N] with `reduction` "none"."""
    return F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction=reduction)
