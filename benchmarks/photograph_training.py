"""Training throughput on photographs at 224 px: `fit()` against the limit and against what a user would write or run instead.

    python -m benchmarks.photograph_training                # a small ResNet and timm's mobilenetv3_small_100: eight minutes

The same network on the same JPEGs of 500 x 375 pixels with the same batch size, optimizer and flip, in turns in one process: (a) the limit:
a bare PyTorch loop over images decoded beforehand, in the recipe's memory format; (b) Lightning with torchvision's ImageFolder, transforms
and a DataLoader of a worker for each core; (c) the step and the loader of timm's train script; (d) neocog's fit() on a packed data set,
which was decoded by `prepare`; (e) on one that keeps the files' bytes and decodes ahead of each batch. Images per second of training
batches, median of the rounds; validation, start-up and export left out of all.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from timm.data import create_loader
from timm.data.dataset import ImageDataset
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import v2

from benchmarks import parser
from benchmarks.photographs import photographs
from benchmarks.training import bare, by_lightning
from neocog import architectures
from neocog.core.machine import cores
from neocog.data import prepare, prepared
from neocog.training import lightning_trainer
from neocog.training.fit import fit
from neocog.training.optimizer import decayed, optimizer
from neocog.training.recipe import Recipe

SIZE, BATCH, IMAGES, ROUNDS = 224, 32, 512, 3
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet (small form)": ("resnet", {}),
    "mobilenetv3_small_100": ("timm", {"model": "mobilenetv3_small_100"}),
}
CORES = cores()
Build = Callable[[], nn.Module]


@dataclass(frozen=True)
class Data:
    """The same photographs as files, one folder a class, and prepared in both ways."""

    files: Path
    packed: prepared.Prepared
    encoded: prepared.Prepared

    @classmethod
    def make(cls, folder: Path, *, count: int, size: int) -> "Data":
        """`count` training images; as many again are held out, since nothing shorter splits them evenly."""
        photographs(folder / "files", side=500, height=375, count=2 * count)
        how: dict[str, Any] = {"source": "folder", "root": folder / "files", "size": (size, size)}
        how |= {"val_fraction": 0.25, "test_fraction": 0.25}
        packed, encoded = (prepare.prepare(folder / store, store=store, **how) for store in ("packed", "encoded"))
        return cls(folder / "files", packed, encoded)


def lightning(model: nn.Module, data: Data, recipe: Recipe, *, size: int) -> float:
    """(b): what a user writes first."""
    chain = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize(size, antialias=True),
            v2.CenterCrop(size),
            v2.RandomHorizontalFlip(recipe.flip),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(data.packed.mean, data.packed.std),
        ]
    )
    images = torch.utils.data.Subset(
        datasets.ImageFolder(data.files, transform=chain), range(data.packed.num_images("train"))
    )
    loader = DataLoader(images, batch_size=recipe.batch_size, shuffle=True, drop_last=True, num_workers=CORES)
    return by_lightning(model, loader, recipe)


def timm(model: nn.Module, data: Data, recipe: Recipe, *, size: int) -> float:
    """(c): loader and step of timm's train script, its crop switched off."""
    loader = create_loader(
        ImageDataset(str(data.files)),
        input_size=(3, size, size),
        batch_size=recipe.batch_size,
        is_training=True,
        use_prefetcher=False,
        scale=(1.0, 1.0),
        ratio=(1.0, 1.0),
        hflip=recipe.flip,
        mean=data.packed.mean,
        std=data.packed.std,
        num_workers=CORES,
    )
    step = optimizer(model, recipe, decayed=decayed(model))
    batches = data.packed.num_images("train") // recipe.batch_size
    model.train()
    begin = time.perf_counter()
    for number, (images, labels) in enumerate(loader):
        if number == batches:
            break
        step.zero_grad()
        F.cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing).backward()
        step.step()
    return batches * recipe.batch_size / (time.perf_counter() - begin)


def ours(build: Build, data: prepared.Prepared, recipe: Recipe, folder: Path) -> float:
    """(d) and (e)."""
    return fit(build, data, recipe, name="network", work=Path(tempfile.mkdtemp(dir=folder))).images_per_second


def row(name: str, build: Build, recipe: Recipe, data: Data, folder: Path, *, size: int, rounds: int) -> None:
    """Print the row of a network."""
    count = data.packed.num_images("train")
    speeds = [
        (
            bare(build(), data.packed, recipe, count),
            lightning(build(), data, recipe, size=size),
            timm(build(), data, recipe, size=size),
            ours(build, data.packed, recipe, folder),
            ours(build, data.encoded, recipe, folder),
        )
        for _ in range(rounds)
    ]
    a, b, c, d, e = (statistics.median(column) for column in zip(*speeds, strict=True))
    rates = " | ".join(f"{rate:,.1f}" for rate in (a, b, c, d, e))
    ratios = " | ".join(f"{each / a:.0%} | {each / b:.2f}x | {each / c:.2f}x" for each in (d, e))
    print(f"| {name} | {rates} | {ratios} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    asked = parser("photograph_training", __doc__).parse_args(arguments)
    size, count, rounds = (32, 24, 1) if asked.tiny else (SIZE, IMAGES, ROUNDS)
    recipe = Recipe(epochs=1, optimizer="adamw", lr=0.001, batch_size=8 if asked.tiny else BATCH, flip=0.5)
    if asked.tiny:
        recipe = replace(recipe, threads=1)
    lightning_trainer.silence()
    print(
        "| network | (a) limit | (b) Lightning | (c) timm | (d) packed | (e) encoded | d / a | d / b | d / c | e / a | e / b | e / c |"
    )
    print("|---|" + "--:|" * 11)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = Data.make(folder, count=count, size=size)
        for name, (architecture, sizes) in NETWORKS.items():
            if asked.tiny and architecture == "timm":
                continue

            def build(architecture: str = architecture, sizes: dict[str, Any] = sizes) -> nn.Module:
                return architectures.build(architecture, channels=3, size=(size, size), classes=4, sizes=sizes)

            row(name, build, recipe, data, folder, size=size, rounds=rounds)


if __name__ == "__main__":
    main()
