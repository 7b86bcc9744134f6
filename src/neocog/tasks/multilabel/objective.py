"""Objective of multi-label classification: the loss, and the sums that are watched, which add up over batches and ranks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.core.image_size import Size

BINS = 512  # of logits, by which average precision is watched: a ranking adds up over batches only as a histogram
REACH = 16.0  # logits beyond it share a bin with it


def loss(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    focal: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean binary cross-entropy over logits [N, K] and targets [N, K]; of each image [N] with `reduction` "none".

    `focal` shrinks each label's by (1 - probability of its target) to that power (Lin et al. 2017, arXiv:1708.02002); `class_weights` [K]
    multiply it where the label is true.
    """
    truth = wanted = targets.to(logits.dtype)
    if label_smoothing:
        wanted = wanted.lerp(torch.full_like(wanted, 0.5), label_smoothing)
    weights = None if class_weights is None else class_weights.to(logits.dtype)
    labels = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none", pos_weight=weights)
    if focal:
        found = logits.sigmoid()
        labels = labels * (truth * (1 - found) + (1 - truth) * found) ** focal
    each = labels.mean(dim=1)
    return each if reduction == "none" else each.mean()


def balanced(counts: Tensor, *, images: int) -> Tensor:
    """Class weights [K] by which images with a label count as much as those without it, from the number of images of each [K]."""
    return (images - counts).clamp(min=1).float() / counts.clamp(min=1)


def random(images: int, *, classes: int, size: Size) -> Tensor:
    """Random targets [N, K] of so many images, to time a training with."""
    return torch.randint(0, 2, (images, classes)).bool()


def soften(targets: Tensor, *, classes: int) -> Tensor:
    """Targets [N, K] as shares, which may be mixed."""
    return targets.float()


def sums(logits: Tensor, targets: Tensor, *, loss: Tensor | None = None) -> Tensor:
    """[summed loss, number of images, and for each label a histogram of the logits of images without and with it, 2 x BINS].

    `loss` is the batch's mean loss where it is known already; of mixed images, a label counts from a share of a half on.
    """
    images, labels = targets.shape
    kind = torch.float32 if logits.device.type == "mps" else torch.float64  # Apple's GPUs have no doubles
    summed = _each(logits, targets).sum() if loss is None else loss.detach() * images
    bins = ((logits.float().clamp(-REACH, REACH) + REACH) * ((BINS - 1) / (2 * REACH))).round().long()
    cells = (torch.arange(labels, device=logits.device) * 2 + (targets >= 0.5).long()) * BINS + bins
    histogram = torch.bincount(cells.flatten(), minlength=labels * 2 * BINS)
    return torch.cat([torch.stack([summed.to(kind), torch.full_like(summed, images, dtype=kind)]), histogram.to(kind)])


def means(total: Tensor) -> dict[str, float]:
    """The sums of an epoch as {name: mean}; `map` is that of the histograms, where logits of one bin are equal."""
    summed, images = total[:2].tolist()
    without, own = total[2:].double().cpu().reshape(-1, 2, BINS).flip(-1).unbind(1)
    found, passed = own.cumsum(1), (own + without).cumsum(1)
    precision = torch.where(passed > 0, found / passed.clamp(min=1), 0.0)
    occurs = own.sum(1) > 0
    scores = ((own * precision).sum(1) / own.sum(1).clamp(min=1))[occurs]
    return {"loss": summed / images, "map": float(scores.mean()) if len(scores) else 0.0}


def _each(logits: Tensor, targets: Tensor) -> Tensor:
    return loss(logits.float(), targets, reduction="none")
