"""Objective of classification: the loss, and the sums that are watched, which add up over batches and ranks."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.core.image_size import Size


def loss(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    focal: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy over logits [N, K] and targets: labels [N] or shares [N, K]; of each image [N] with `reduction` "none".

    `focal` shrinks it by (1 - probability of the target) ** `focal` (Lin et al. 2017, arXiv:1708.02002), `class_weights` [K] weigh it.
    """
    weights = None if class_weights is None else class_weights.to(logits.dtype)
    cross_entropy = partial(F.cross_entropy, logits, targets, weight=weights, label_smoothing=label_smoothing)
    if not focal:
        return cross_entropy(reduction=reduction)
    each = cross_entropy(reduction="none")
    right = logits.softmax(1)
    shares = right.gather(1, targets[:, None])[:, 0] if targets.ndim == 1 else (right * targets).sum(1)
    each = each * (1 - shares).clamp(min=0) ** focal
    if reduction == "none":
        return each
    return each.mean() if weights is None or targets.ndim > 1 else each.sum() / weights[targets].sum()


def balanced(counts: Tensor, *, images: int) -> Tensor:
    """Class weights [K] by which every class counts alike, from the number of images of each [K]; their mean over all images is 1."""
    return images / ((counts > 0).sum() * counts.clamp(min=1).float())


def random(images: int, *, classes: int, size: Size) -> Tensor:
    """Random labels [N] of so many images, to time a training with."""
    return torch.randint(0, classes, (images,))


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
