"""Objective of segmentation: cross-entropy of pixels and a Dice loss, by which small things count too, and the sums that are watched.

Milletari, F., Navab, N. & Ahmadi, S.-A. (2016). V-Net: fully convolutional neural networks for volumetric medical image segmentation. 3DV.
arXiv:1606.04797 (the Dice loss).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.tasks.segmentation import IGNORED, confusion


def loss(
    outputs: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    focal: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy, a mean over pixels, and the Dice loss of logits [N, K, H, W] and masks [N, H, W]; of each image [N] with `reduction`
    "none". `focal` fades what is certain and `class_weights` [K] multiply the loss of pixels, both in the cross-entropy alone.
    """
    outputs, labels = outputs.float(), targets.long()
    judged = labels != IGNORED
    pixels = judged.flatten(1).sum(dim=1).clamp(min=1)
    each = F.cross_entropy(outputs, labels, ignore_index=IGNORED, label_smoothing=label_smoothing, reduction="none")
    inside = labels.masked_fill(~judged, 0)
    if focal:
        sure = outputs.log_softmax(dim=1).gather(1, inside[:, None])[:, 0].exp()
        each = each * (1 - sure) ** focal
    if class_weights is not None:
        each = each * class_weights.to(each)[inside]
    found = each.flatten(1).sum(dim=1) / pixels + dice_loss(outputs, inside, judged)
    return found if reduction == "none" else found.mean()


def dice_loss(outputs: Tensor, labels: Tensor, judged: Tensor) -> Tensor:
    """1 minus the Dice of probabilities, the mean over the classes of an image, [N]; from logits [N, K, H, W], labels and what counts."""
    probabilities = outputs.softmax(dim=1) * judged[:, None]
    own = F.one_hot(labels, outputs.shape[1]).movedim(-1, 1).to(outputs) * judged[:, None]
    shared, both = (part.sum(dim=(2, 3)) for part in (probabilities * own, probabilities + own))
    there = own.amax(dim=(2, 3))
    score = (2 * shared + 1e-6) / (both + 1e-6)
    return ((1 - score) * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def balanced(counts: Tensor, *, images: int) -> Tensor:
    """Class weights [K] by which all classes count alike, 1 in the mean over images, from the number of images that show each [K]."""
    return counts.sum() / (len(counts) * counts.clamp(min=1).float())


def random(images: int, *, classes: int, size: Size) -> Tensor:
    """Random masks [N, H, W] of so many images of `size`, to time a training with."""
    return torch.randint(0, classes, (images, *size), dtype=torch.uint8)


def soften(targets: Tensor, *, classes: int) -> Tensor:
    """Raises UserError: mixed images would need a share of each class at every pixel."""
    raise UserError("mixup and cutmix blend images, which masks do not follow; set mixup: 0.0 and cutmix: 0.0")


@torch.no_grad()
def sums(outputs: Tensor, targets: Tensor, *, loss: Tensor | None = None) -> Tensor:
    """[summed loss, number of images], of batches whose mean `loss` is known, as in training. Of others, behind these, the confusion
    matrix of their pixels, [K x K]."""
    images = len(targets)
    kind = torch.float32 if outputs.device.type == "mps" else torch.float64  # Apple's GPUs have no doubles
    if loss is not None:
        return torch.stack([loss.to(kind) * images, outputs.new_full((), images, dtype=kind)])
    classes = outputs.shape[1]
    labels = targets.long()
    judged = labels != IGNORED
    cells = torch.bincount(labels[judged] * classes + outputs.argmax(dim=1)[judged], minlength=classes * classes)
    each = _each(outputs, targets).sum().to(kind)
    return torch.cat([torch.stack([each, each.new_full((), images)]), cells.to(each)])


def means(total: Tensor) -> dict[str, float]:
    """The sums of an epoch as {name: mean}; `miou`, where there are pixels."""
    summed, images = total[:2].tolist()
    found = {"loss": summed / images}
    if len(total) > 2:
        cells = total[2:].double().cpu().numpy()
        found["miou"] = confusion.mean(confusion.iou(cells.reshape(int(np.sqrt(len(cells))), -1)))
    return found


def _each(outputs: Tensor, targets: Tensor) -> Tensor:
    return loss(outputs, targets, reduction="none")
