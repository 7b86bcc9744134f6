"""Augmentation and normalization of whole batches, from packed uint8 to floats, on the device where the batch is."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neocog.data.augmentations.apply import Augmentations


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What happens to training images; everything off by default. Units as in `Recipe`; `listed` is `augment` of it, and comes first."""

    listed: Augmentations | None = None
    flip: float = 0.0
    crop: int = 0
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def is_on(self) -> bool:
        """Whether any of it happens."""
        return self != Augmentation()


def shift_and_flip(images: Tensor, *, flip: float, crop: int) -> Tensor:
    """Flip each of images [N, H, W, C] left-right with chance `flip`, then shift it by up to `crop` pixels; its border is repeated.

    Both are one gather over the uint8 pixels, so each pixel is moved once.
    """
    N, H, W, C = images.shape
    device = images.device
    rows = torch.arange(H, device=device).expand(N, H)
    columns = torch.arange(W, device=device).expand(N, W)
    if crop:
        shifts = torch.randint(-crop, crop + 1, (2, N, 1), device=device)
        rows, columns = (rows + shifts[0]).clamp(0, H - 1), (columns + shifts[1]).clamp(0, W - 1)
    if flip:
        flipped = torch.rand(N, 1, device=device) < flip
        columns = torch.where(flipped, W - 1 - columns, columns)
    indices = (rows[:, :, None] * W + columns[:, None, :]).reshape(N, H * W, 1)
    return images.reshape(N, H * W, C).gather(1, indices.expand(N, H * W, C)).reshape(N, H, W, C)


def cut_out(images: Tensor, *, side: int) -> Tensor:
    """Set a square of `side` pixels in each of the normalized images [N, C, H, W] to 0 (DeVries & Taylor 2017, arXiv:1708.04552)."""
    N, _, H, W = images.shape
    device = images.device
    top = torch.randint(0, H, (N, 1), device=device) - side // 2
    left = torch.randint(0, W, (N, 1), device=device) - side // 2
    y, x = torch.arange(H, device=device), torch.arange(W, device=device)
    inside_y, inside_x = (y >= top) & (y < top + side), (x >= left) & (x < left + side)
    return images.masked_fill((inside_y[:, :, None] & inside_x[:, None, :])[:, None], 0.0)


def mix_up(images: Tensor, targets: Tensor, *, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend the batch with itself in another order; targets [N, K] are blended alike (Zhang et al. 2018, arXiv:1710.09412)."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(images), device=images.device)
    return images.lerp(images[other], 1 - share), targets.lerp(targets[other], 1 - share)


def cut_mix(images: Tensor, targets: Tensor, *, alpha: float) -> tuple[Tensor, Tensor]:
    """Paste one rectangle from another image of the batch; targets [N, K] follow its area (Yun et al. 2019, arXiv:1905.04899)."""
    H, W = images.shape[-2:]
    cut = (1 - float(torch.distributions.Beta(alpha, alpha).sample())) ** 0.5
    y, x = int(torch.randint(0, H, ())), int(torch.randint(0, W, ()))
    half_h, half_w = int(H * cut) // 2, int(W * cut) // 2
    top, bottom, left, right = max(0, y - half_h), min(H, y + half_h), max(0, x - half_w), min(W, x + half_w)
    other = torch.randperm(len(images), device=images.device)
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = images[other][..., top:bottom, left:right]
    return mixed, targets.lerp(targets[other], (bottom - top) * (right - left) / (H * W))


def normalize(images: Tensor, *, mean: Tensor, std: Tensor) -> Tensor:
    """Packed images uint8 [N, H, W, C] -> float [N, C, H, W], stored channels last; mean and std [C] in the pixel scale 0..255."""
    return images.to(mean.dtype).sub_(mean).div_(std).permute(0, 3, 1, 2)


def training_batch(
    images: Tensor,
    targets: Tensor,
    augmentation: Augmentation,
    *,
    mean: Tensor,
    std: Tensor,
    soften: Callable[[Tensor], Tensor],
    move: Callable[..., tuple[Tensor, Tensor]] | None = None,
) -> tuple[Tensor, Tensor]:
    """Packed images [N, H, W, C] and targets [N, ...] -> augmented float [N, C, H, W] and targets.

    Where images are mixed the targets are what `soften` makes of them, mixed likewise. Where targets have places in the image `move` moves
    both, in place of `shift_and_flip`.
    """
    if augmentation.listed is not None:
        images = augmentation.listed(images)
    if move is not None and (augmentation.flip or augmentation.crop):
        images, targets = move(images, targets, flip=augmentation.flip, crop=augmentation.crop)
    elif augmentation.flip or augmentation.crop:
        images = shift_and_flip(images, flip=augmentation.flip, crop=augmentation.crop)
    batch = normalize(images, mean=mean, std=std)
    if augmentation.cutout:
        batch = cut_out(batch, side=augmentation.cutout)
    if augmentation.mixup or augmentation.cutmix:
        mix, alpha = (mix_up, augmentation.mixup) if augmentation.mixup else (cut_mix, augmentation.cutmix)
        batch, targets = mix(batch, soften(targets).to(batch.dtype), alpha=alpha)
    return batch, targets
