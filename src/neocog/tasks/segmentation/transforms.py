"""Geometry of training batches: images and their masks move together."""

import torch
from torch import Tensor

from neocog.tasks.segmentation import IGNORED


def move(images: Tensor, targets: Tensor, *, flip: float, crop: int) -> tuple[Tensor, Tensor]:
    """Flip each of images [N, H, W, C] and its mask [N, H, W] left-right with chance `flip`, then shift both by up to `crop` pixels.

    The border of an image is repeated; of the mask these pixels are ignored.
    """
    N, H, W, C = images.shape
    device = images.device
    rows = torch.arange(H, device=device).expand(N, H)
    columns = torch.arange(W, device=device).expand(N, W)
    if flip:
        columns = torch.where(torch.rand(N, 1, device=device) < flip, W - 1 - columns, columns)
    inside = None
    if crop:
        right, down = torch.randint(-crop, crop + 1, (2, N, 1), device=device)
        y, x = torch.arange(H, device=device) - down, torch.arange(W, device=device) - right
        inside = ((y >= 0) & (y < H))[:, :, None] & ((x >= 0) & (x < W))[:, None]
        rows, columns = rows.gather(1, y.clamp(0, H - 1)), columns.gather(1, x.clamp(0, W - 1))
    places = (rows[:, :, None] * W + columns[:, None, :]).reshape(N, H * W)
    moved = images.reshape(N, H * W, C).gather(1, places[..., None].expand(N, H * W, C)).reshape(N, H, W, C)
    masks = targets.reshape(N, H * W).gather(1, places).reshape(N, H, W)
    return moved, masks if inside is None else masks.masked_fill(~inside, IGNORED)
