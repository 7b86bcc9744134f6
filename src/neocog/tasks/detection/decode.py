"""Decoding inside the graph, behind the network: priors, boxes and logits -> at most `DETECTIONS` detections an image, after one
non-maximum suppression.

Outputs of a detector are [N, A, 8 + K]: for each of A places the prior it predicts from (4), its box (4), both x1, y1, x2, y2 in pixels,
and the logits of K classes. All shapes are static: the likeliest candidates are taken, and those that are suppressed get the score 0.
"""

import torch
from torch import Tensor, nn

from neocog.tasks.detection import DETECTIONS

OUTPUTS = ("detections", "count")
CANDIDATES = 200  # of all places and classes, the likeliest
MIN_SCORE = 0.01
MAX_IOU = 0.5  # of two boxes of one class that both stay
ROUNDS = 12  # of suppression: enough for chains of so many boxes that overlap each the next

PRIOR, BOX, LOGITS = slice(0, 4), slice(4, 8), slice(8, None)  # of the last axis of the outputs


class Decode(nn.Module):
    """Outputs [N, A, 8 + K] -> detections [N, DETECTIONS, 6] (box, score, class), the likeliest first, and their count [N].

    Rows behind the count are 0.
    """

    def forward(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        outputs = outputs.float()
        classes = outputs.shape[2] - LOGITS.start
        every = outputs[..., LOGITS].sigmoid().flatten(1)
        scores, index = every.topk(min(CANDIDATES, every.shape[1]))
        place, label = index // classes, index % classes
        boxes = outputs[..., BOX].gather(1, place[..., None].expand(-1, -1, 4))
        scores = scores * kept(boxes, label, scores)
        scores, order = scores.topk(min(DETECTIONS, scores.shape[1]))
        scores = torch.where(scores >= MIN_SCORE, scores, torch.zeros_like(scores))
        boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
        labels = label.gather(1, order).to(scores.dtype)
        found = torch.cat([boxes, scores[..., None], labels[..., None]], dim=-1) * (scores > 0)[..., None]
        if found.shape[1] < DETECTIONS:
            found = nn.functional.pad(found, (0, 0, 0, DETECTIONS - found.shape[1]))
        return found, (scores > 0).sum(dim=1)


def kept(boxes: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """Which of boxes [N, C, 4] with labels and scores [N, C], the likeliest first, greedy non-maximum suppression keeps: 1 or 0 [N, C].

    Zheng, Z. et al. (2020). Enhancing geometric factors in model learning and inference for object detection and instance segmentation.
    arXiv:2005.03572 (Cluster-NMS): boxes that are suppressed suppress no other, which a few rounds over all pairs settle. Products of
    tensors of one shape for all images: it needs no operator of its own in any runtime.
    """
    rank = torch.arange(boxes.shape[1], device=boxes.device)
    before = (rank[:, None] > rank[None, :]).to(
        scores.dtype
    )  # column suppresses row: the axis that is reduced lies together
    overlap = (iou(boxes[:, :, None], boxes[:, None]) > MAX_IOU).to(scores.dtype)
    rivals = overlap * (labels[:, :, None] == labels[:, None]).to(scores.dtype) * before
    keep = torch.ones_like(scores)
    for _ in range(ROUNDS):
        keep = 1 - (rivals * keep[:, None]).amax(dim=2)
    return keep


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union [...] of boxes [..., 4], which are broadcast. Side by side: runtimes are slow over an axis of two."""
    across, down = (
        (torch.minimum(first[..., i + 2], second[..., i + 2]) - torch.maximum(first[..., i], second[..., i])).clamp(
            min=0
        )
        for i in (0, 1)
    )
    shared = across * down
    areas = [(box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1]) for box in (first, second)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-9)
