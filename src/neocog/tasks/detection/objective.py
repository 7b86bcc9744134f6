"""Objective of detection: focal loss of a heat map and generalized IoU of boxes, and the sums that are watched.

Outputs are those of `decode.py`. A place whose prior is a point learns by the Gaussian heat of the objects around it; one whose prior
is a box by its IoU with the objects (anchors).

Zhou, X., Wang, D. & Kraehenbuehl, P. (2019). Objects as points. arXiv:1904.07850 (the heat map and its loss). Liu, Z. et al. (2020).
Training-time-friendly network for real-time object detection. AAAI. arXiv:1909.00700 (boxes learned all around a centre). Rezatofighi, H.
et al. (2019). Generalized intersection over union. CVPR. arXiv:1902.09630.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.tasks.detection.average_precision import IOUS, Objects, interpolated, match, mean_of
from neocog.tasks.detection.decode import BOX, LOGITS, PRIOR, Decode, iou

BINS = 200  # of scores, by which average precision is watched: a ranking adds up over batches only as a histogram
SPREAD = 0.54 / 6  # standard deviation of the heat, of a side of the box
SHARED = 0.3  # heat from which on a place learns the box
FOCUS, FADE = 2.0, 4.0  # exponents of the heat map's loss
BOX_SHARE = 5.0  # weight of the boxes' loss
POSITIVE, NEGATIVE = 0.5, 0.4  # IoU of an anchor with an object from which on it is one, and up to which it is none


def loss(
    outputs: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    focal: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Loss over outputs [N, A, 8 + K] and targets [N, M, 5], an object's share; of each image [N] with `reduction` "none".

    `label_smoothing` draws what is certain towards a half, `focal` takes the place of the heat map's exponent, `class_weights` [K] multiply
    the loss of objects.
    """
    outputs = outputs.float()
    logits, boxes = outputs[..., LOGITS], outputs[..., BOX]
    heat, weight, wanted = assign(outputs[0, :, PRIOR].detach(), targets, classes=logits.shape[-1])
    found, focus = logits.sigmoid(), focal or FOCUS
    near = (heat == 1).to(logits.dtype)
    smooth = label_smoothing / 2
    sure, unsure = F.logsigmoid(logits), F.logsigmoid(-logits)
    certain = -((1 - smooth) * sure + smooth * unsure) * (1 - found) ** focus
    if class_weights is not None:
        certain = certain * class_weights.to(logits.dtype)
    doubtful = -unsure * found**focus * (1 - heat) ** FADE
    classified = (near * certain + (1 - near) * doubtful).sum(dim=(1, 2))
    located = (weight * (1 - giou(boxes, wanted))).sum(dim=1)
    objects = (targets[..., 4] >= 0).sum().clamp(min=1) / len(targets)
    each = classified / objects + BOX_SHARE * located / (weight.sum().clamp(min=1e-6) / len(targets))
    return each if reduction == "none" else each.mean()


@torch.no_grad()
def assign(priors: Tensor, targets: Tensor, *, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """What each of the places with priors [A, 4] should say of targets [N, M, 5].

    The heat [N, A, K] of each class, 1 where an object is; the weight [N, A] with which the box is learned, and the box itself [N, A, 4].
    """
    there = targets[..., 4] >= 0
    fits = (heat_around if bool((priors[:, 2:] <= priors[:, :2]).all()) else anchored)(priors, targets[..., :4])
    fits = torch.where(there[:, None], fits, 0.0)  # [N, A, M]
    label = targets[..., 4].long().clamp(min=0)[:, None].expand_as(fits)
    heat = fits.new_zeros(*fits.shape[:2], classes).scatter_reduce(2, label, fits, "amax")
    best, which = fits.max(dim=2)
    wanted = targets[..., :4].gather(1, which[..., None].expand(-1, -1, 4))
    return heat, torch.where(best >= SHARED, best, 0.0), wanted


def heat_around(priors: Tensor, boxes: Tensor) -> Tensor:
    """The heat [N, A, M] at points [A, 4] around the centres of boxes [N, M, 4]: a Gaussian as wide as the box, 1 at the nearest point."""
    x, y = ((boxes[..., i] + boxes[..., i + 2]) / 2 for i in (0, 1))
    sides = [(boxes[..., i + 2] - boxes[..., i]).clamp(min=1) * SPREAD for i in (0, 1)]
    away = [(priors[:, i][None, :, None] - at[:, None]) for i, at in ((0, x), (1, y))]
    across, down = ((far / side[:, None]) ** 2 for far, side in zip(away, sides, strict=True))
    heat = torch.exp(-(across + down) / 2)
    nearest = (away[0] ** 2 + away[1] ** 2).argmin(dim=1, keepdim=True)
    return heat.clamp(max=0.99).scatter(1, nearest, 1.0)


def anchored(priors: Tensor, boxes: Tensor) -> Tensor:
    """1 [N, A, M] where an anchor [A, 4] is that of a box [N, M, 4]: by an IoU from POSITIVE on, or as the best of the box. Below it the
    square root of the share of the way from NEGATIVE, so that anchors in between are hardly held wrong."""
    overlap = iou(priors[None, :, None], boxes[:, None])
    fits = ((overlap - NEGATIVE) / (POSITIVE - NEGATIVE)).clamp(0, 1)
    fits = torch.where(overlap >= overlap.amax(dim=2, keepdim=True), fits, 0.0)  # an anchor has one box
    best = overlap.argmax(dim=1, keepdim=True)
    return fits.scatter(1, best, 1.0)


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalized intersection over union [...] of boxes [..., 4]: from -1, far apart, to 1, the same."""
    shared = iou(first, second)
    whole = (torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])).clamp(
        min=0
    )
    hull = (whole[..., 0] * whole[..., 1]).clamp(min=1e-9)
    sides = (torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])).clamp(
        min=0
    )
    areas = [(box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1]) for box in (first, second)]
    union = areas[0] + areas[1] - sides[..., 0] * sides[..., 1]
    return shared - (hull - union) / hull


def balanced(counts: Tensor, *, images: int) -> Tensor:
    """Class weights [K] by which all classes count alike, 1 in the mean over images, from the number of images that show each [K]."""
    return counts.sum() / (len(counts) * counts.clamp(min=1).float())


def random(images: int, *, classes: int, size: Size) -> Tensor:
    """Random targets [N, 4, 5] of so many images, to time a training with."""
    corner = torch.rand(images, 4, 2) * 20
    label = torch.randint(0, classes, (images, 4, 1)).float()
    return torch.cat([corner, corner + 4 + torch.rand(images, 4, 2) * 20, label], dim=-1)


def soften(targets: Tensor, *, classes: int) -> Tensor:
    """Raises UserError: boxes of two images cannot be blended."""
    raise UserError("mixup and cutmix blend images, which boxes cannot follow; set mixup: 0.0 and cutmix: 0.0")


@torch.no_grad()
def sums(outputs: Tensor, targets: Tensor, *, loss: Tensor | None = None) -> Tensor:
    """[summed loss, number of images], of batches whose mean `loss` is known, as in training. Of others, behind these, for each class the
    number of its objects and histograms of the scores of hits and misses at each IoU, [K, 1 + T x 2 x BINS]."""
    images = len(targets)
    kind = torch.float32 if outputs.device.type == "mps" else torch.float64  # Apple's GPUs have no doubles
    if loss is not None:
        return torch.stack([loss.to(kind) * images, outputs.new_full((), images, dtype=kind)])
    found, _ = Decode()(outputs)
    classes = outputs.shape[-1] - LOGITS.start
    objects = Objects.of(found.float().cpu().numpy(), targets.cpu().numpy())
    hit = match(objects).hit
    table = np.zeros((classes, 1 + len(IOUS) * 2 * BINS))
    table[:, 0] = np.bincount(objects.object_label, minlength=classes)
    bins = (objects.score * BINS).astype(int).clip(0, BINS - 1)
    for level, row in enumerate(hit):
        place = 1 + (level * 2 + ~row) * BINS + bins
        np.add.at(table, (objects.label, place), 1)
    each = _each(outputs, targets).sum().to(kind)
    head = torch.stack([each, each.new_full((), images)])
    return torch.cat([head, torch.from_numpy(table).to(head).flatten()])


def means(total: Tensor) -> dict[str, float]:
    """The sums of an epoch as {name: mean}; `map`, where there are histograms, is average precision with scores of one bin equal."""
    summed, images = total[:2].tolist()
    found = {"loss": summed / images}
    if len(total) > 2:
        table = total[2:].double().cpu().numpy().reshape(-1, 1 + len(IOUS) * 2 * BINS)
        cells = np.cumsum(table[:, 1:].reshape(len(table), len(IOUS), 2, BINS)[..., ::-1], axis=-1)
        scores = [
            interpolated(own[:, 0], own[:, 1], count) for own, count in zip(cells, table[:, 0], strict=True) if count
        ]
        found["map"] = mean_of(np.array(scores))
    return found


def _each(outputs: Tensor, targets: Tensor) -> Tensor:
    return loss(outputs, targets, reduction="none")
