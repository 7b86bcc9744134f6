"""Geometry of training batches: images and their boxes move together."""

import torch
from torch import Tensor

from neocog.tasks.detection.geometry import VISIBLE
from neocog.tasks.detection.targets import NO_OBJECT


def move(images: Tensor, targets: Tensor, *, flip: float, crop: int) -> tuple[Tensor, Tensor]:
    """Flip each of images [N, H, W, C] and its targets [N, M, 5] left-right with chance `flip`, then shift both by up to `crop` pixels.

    The border of an image is repeated. Objects of whose box less than VISIBLE is left are none.
    """
    N, H, W, C = images.shape
    device = images.device
    rows = torch.arange(H, device=device).expand(N, H)
    columns = torch.arange(W, device=device).expand(N, W)
    boxes, labels = targets[..., :4], targets[..., 4:]
    size = torch.tensor([W, H, W, H], device=device, dtype=boxes.dtype)
    if flip:
        flipped = torch.rand(N, 1, device=device) < flip
        columns = torch.where(flipped, W - 1 - columns, columns)
        turned = torch.stack([W - boxes[..., 2], boxes[..., 1], W - boxes[..., 0], boxes[..., 3]], dim=-1)
        boxes = torch.where(flipped[..., None], turned, boxes)
    if crop:
        right, down = torch.randint(-crop, crop + 1, (2, N, 1), device=device)
        rows = rows.gather(1, (torch.arange(H, device=device) - down).clamp(0, H - 1))
        columns = columns.gather(1, (torch.arange(W, device=device) - right).clamp(0, W - 1))
        whole = boxes + torch.cat([right, down, right, down], dim=1)[:, None].to(boxes.dtype)
        boxes = torch.minimum(whole.clamp(min=0), size)
        labels = torch.where(_area(boxes) >= VISIBLE * _area(whole), labels, NO_OBJECT)
    places = (rows[:, :, None] * W + columns[:, None, :]).reshape(N, H * W, 1)
    moved = images.reshape(N, H * W, C).gather(1, places.expand(N, H * W, C)).reshape(N, H, W, C)
    return moved, torch.cat([boxes, labels], dim=-1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:3] - boxes[..., :1]) * (boxes[..., 3:4] - boxes[..., 1:2])
