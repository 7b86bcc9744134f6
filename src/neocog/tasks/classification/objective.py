"""What a classifier minimizes, and what is watched while it trains, as sums that add up over batches and ranks."""

import torch
import torch.nn.functional as F
from torch import Tensor


def loss(logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    """Mean cross-entropy over logits [N, K] and targets: labels [N] or shares [N, K]; of each image [N] with `reduction` "none"."""
    return F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction=reduction)


def soften(labels: Tensor, *, classes: int) -> Tensor:
    """Labels [N] as shares [N, K], which may be mixed."""
    return F.one_hot(labels, classes)


def sums(logits: Tensor, targets: Tensor, *, loss: Tensor | None = None) -> Tensor:
    """[summed loss, number right, number of images] over logits [N, K] and targets (labels [N] or shares [N, K]).

    `loss` is the batch's mean loss where it is known already.
    """
    labels = targets if targets.ndim == 1 else targets.argmax(1)
    right = (logits.argmax(1) == labels).sum()
    summed = F.cross_entropy(logits.float(), targets, reduction="sum") if loss is None else loss.detach() * len(labels)
    kind = torch.float32 if logits.device.type == "mps" else torch.float64  # Apple's GPUs have no doubles
    return torch.stack([summed.to(kind), right.to(kind), torch.full_like(right, len(labels), dtype=kind)])


def means(total: Tensor) -> dict[str, float]:
    """The sums of an epoch as {name: mean}."""
    summed, right, count = total.tolist()
    return {"loss": summed / count, "top1": right / count}
