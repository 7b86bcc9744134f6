"""Training throughput: `fit()` against the limit and against what a user writes first.

    python -m benchmarks.training                   # lenet and resnet on the images in data/prepared: three minutes
    python -m benchmarks.training vgg mobilenet

Three ways to train the same network on the same images with the same batch size, optimizer, shifted crop and flip, in turns in
one process: (a) the limit: a bare PyTorch loop over tensors in memory, in the recipe's memory format; (b) plain Lightning over
torchvision's dataset, transforms and DataLoader with two workers; (c) neocog's fit(). Images per second of training batches, median of
the rounds; validation, start-up and export left out of all.
"""

import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from benchmarks import _tiny, parser
from neocog import architectures
from neocog.core.errors import UserError
from neocog.data import prepared, prepared_writer
from neocog.data.augment import Augmentation, training_batch
from neocog.params import load
from neocog.training import lightning_trainer
from neocog.training.fit import fit
from neocog.training.optimizer import decayed, optimizer
from neocog.training.recipe import Recipe

IMAGES = {"lenet": 24_000, "resnet": 6_000}
ROUNDS = 3
HELD_OUT = 256  # images of the other splits
Build = Callable[[], nn.Module]


def bare(model: nn.Module, data: prepared.Prepared, recipe: Recipe, count: int) -> float:
    """The limit: (a)."""
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)
    split = data.split("train")
    images, labels = torch.from_numpy(split.images[:count].copy()), torch.from_numpy(split.targets[:count].copy())
    mean, std = torch.tensor(data.mean) * 255, torch.tensor(data.std) * 255
    augmentation, step = (
        Augmentation(flip=recipe.flip, crop=recipe.crop),
        optimizer(model, recipe, decayed=decayed(model)),
    )
    model.train()
    begin = time.perf_counter()
    order = torch.randperm(count)
    for start in range(0, count - recipe.batch_size + 1, recipe.batch_size):
        rows = order[start : start + recipe.batch_size]
        inputs, targets = training_batch(images[rows], labels[rows], augmentation, mean=mean, std=std, soften=F.one_hot)
        inputs = inputs if recipe.channels_last else inputs.contiguous()
        step.zero_grad()
        F.cross_entropy(model(inputs), targets, label_smoothing=recipe.label_smoothing).backward()
        step.step()
    return count // recipe.batch_size * recipe.batch_size / (time.perf_counter() - begin)


class First(pl.LightningModule):
    """What a user writes first."""

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.model, self.recipe = model, recipe

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = F.cross_entropy(self.model(batch[0]), batch[1], label_smoothing=self.recipe.label_smoothing)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimizer(self.model, self.recipe, decayed=decayed(self.model))

    def on_train_epoch_start(self) -> None:
        self.begin = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        self.seconds = time.perf_counter() - self.begin


def by_lightning(model: nn.Module, loader: DataLoader[Any], recipe: Recipe) -> float:
    """Images per second of an epoch of plain Lightning."""
    learner = First(model, recipe)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(learner, loader)
    return len(loader) * recipe.batch_size / learner.seconds


def plain(model: nn.Module, folder: Path, recipe: Recipe, data: prepared.Prepared) -> float:
    """What a user writes first: (b)."""
    chain = transforms.Compose(
        [
            transforms.RandomCrop(data.size, padding=max(1, recipe.crop)),
            transforms.RandomHorizontalFlip(recipe.flip),
            transforms.ToTensor(),
            transforms.Normalize(data.mean, data.std),
        ]
    )
    images = datasets.FashionMNIST(folder, transform=chain)
    loader = DataLoader(images, batch_size=recipe.batch_size, shuffle=True, drop_last=True, num_workers=2)
    return by_lightning(model, loader, recipe)


def ours(build: Build, name: str, data: prepared.Prepared, recipe: Recipe, folder: Path) -> float:
    """neocog: (c)."""
    work = Path(tempfile.mkdtemp(dir=folder))
    return fit(build, data, replace(recipe, epochs=1), name=name, work=work).images_per_second


def subset(data: prepared.Prepared, folder: Path, count: int) -> prepared.Prepared:
    """The first `count` training images as a prepared data set and as the files that torchvision reads."""
    split, val = data.split("train"), data.split("val")
    held = min(HELD_OUT, len(val.images))
    images = np.concatenate([split.images[:count], val.images[:held], val.images[:held]])
    labels = np.concatenate([split.targets[:count], val.targets[:held], val.targets[:held]])
    splits = ["train"] * count + ["val"] * held + ["test"] * held
    names = [f"{i:08d}" for i in range(len(images))]
    samples = prepared_writer.Samples(
        rows=np.arange(len(images)), targets=labels, splits=splits, sha256=names, sources=names
    )
    small = prepared_writer.write(
        folder / "prepared", name="subset", classes=data.classes, images=images, samples=samples, source_digest="subset"
    )
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, rows in (("train", slice(0, count)), ("t10k", slice(count, count + held))):
        chosen = images[rows]
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">iiii", 2051, len(chosen), *data.size) + chosen.tobytes()
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">ii", 2049, len(chosen)) + labels[rows].astype(np.uint8).tobytes()
        )
    return small


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of the architectures asked for, each as its block in params.yaml says."""
    options = parser("training", __doc__)
    options.add_argument("architectures", nargs="*", metavar="ARCH", help=f"default: {' '.join(IMAGES)}")
    asked = options.parse_args(arguments)
    lightning_trainer.silence()
    print("| network | batch | (a) bare loop | (b) Lightning + DataLoader | (c) neocog fit() | c / a | c / b |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as temporary:
        if asked.tiny:
            recipe = Recipe(epochs=1, optimizer="adamw", lr=0.006, label_smoothing=0.0, threads=1)
            row("lenet", {"width": 1}, recipe, _tiny.digits(Path(temporary)), count=256, rounds=1)
        else:
            for name in asked.architectures or IMAGES:
                settings = load.for_stage(f"train@{name}")
                recipe = replace(settings.recipe(name), threads=0)
                row(name, settings.sizes(name), recipe, prepared.read("data/prepared"), count=IMAGES.get(name, 6_000))


def row(
    name: str, sizes: dict[str, Any], recipe: Recipe, data: prepared.Prepared, *, count: int, rounds: int = ROUNDS
) -> None:
    """Print the row of an architecture, trained on `count` images."""
    if data.channels != 1:
        raise UserError("torchvision's FashionMNIST, which (b) reads, is gray; prepare gray images (data.channels: 1)")
    shape: dict[str, Any] = {"channels": data.channels, "size": data.size, "classes": len(data.classes)}

    def build() -> nn.Module:
        return architectures.build(name, **shape, sizes=sizes)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        small = subset(data, folder, count)
        speeds = [
            (
                bare(build(), small, recipe, count),
                plain(build(), folder, recipe, small),
                ours(build, name, small, recipe, folder),
            )
            for _ in range(rounds + 1)
        ]
    a, b, c = (statistics.median(column) for column in zip(*speeds[1:], strict=True))  # the first round warms up
    print(f"| {name} | {recipe.batch_size} | {a:,.0f} | {b:,.0f} | {c:,.0f} | {c / a:.0%} | {c / b:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
