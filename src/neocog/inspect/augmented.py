"""A sheet of training images, each with what the first epochs of a recipe see of it."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from neocog.core.errors import UserError
from neocog.data.augment import training_batch
from neocog.data.prepared import Prepared
from neocog.drawing.images import fitted
from neocog.tasks import task as tasks
from neocog.training.module import augmentation
from neocog.training.recipe import Recipe

SIDE, GAP = 112, 4  # px of the longer side of an image, and between images
PAPER = (252, 250, 245)


def seen(data: Prepared, recipe: Recipe, *, images: int, epochs: int) -> Tensor:
    """Packed images uint8 [epochs + 1, N, H, W, C] of the first `images` of the train split: as they are, then as each epoch sees them.

    Drawn by the recipe's seed, though not as in a batch of training. Raises UserError for targets that cannot be mixed.
    """
    split = data.split("train", limit=images)
    packed, targets = torch.from_numpy(split.images.copy()), torch.from_numpy(np.ascontiguousarray(split.targets))
    mean, std = (torch.tensor(each) * 255 for each in (data.mean, data.std))
    objective = tasks.task(data.task).objective
    if (recipe.mixup or recipe.cutmix) and not hasattr(objective, "soften"):
        raise UserError(f"mixup and cutmix: targets of the task {data.task} cannot be blended; set both to 0")
    found = [packed]
    for epoch in range(epochs):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(hash((recipe.seed, epoch)) & 0x7FFF_FFFF_FFFF_FFFF)
            batch, _ = training_batch(
                packed,
                targets,
                augmentation(recipe, size=data.size, mean=data.mean),
                mean=mean,
                std=std,
                soften=lambda each: objective.soften(each, classes=len(data.classes)),
            )
        pixels = batch.permute(0, 2, 3, 1) * std + mean
        found.append(pixels.round().clamp(0, 255).to(torch.uint8))
    return torch.stack(found)


def sheet(data: Prepared, recipe: Recipe, *, images: int, epochs: int) -> Image.Image:
    """A row an image: as it is, then a column an epoch."""
    tiles = [
        [fitted(image.numpy(), side=SIDE) for image in row] for row in seen(data, recipe, images=images, epochs=epochs)
    ]
    width, height = (length + GAP for length in tiles[0][0].size)
    canvas = Image.new("RGB", (GAP + width * len(tiles) + GAP, GAP + height * len(tiles[0])), PAPER)
    for column, each in enumerate(tiles):
        for row, tile in enumerate(each):
            canvas.paste(tile, (GAP + width * column + (GAP if column else 0), GAP + height * row))
    return canvas
