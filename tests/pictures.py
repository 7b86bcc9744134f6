"""Real image files to try `prepare` on."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, *, width: int = 24, height: int = 24, colour: bool = True) -> Image.Image:
    """A picture of its own for every seed, smooth as photographs are."""
    rng = np.random.default_rng(seed)
    shape = (5, 5, 3) if colour else (5, 5)
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).resize((width, height))


def save(image: Image.Image, path: Path, **options: object) -> Path:
    """Write `image` to `path` and make the folders on the way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def class_folders(root: Path, *, classes: int = 2, images: int = 40, suffix: str = "png", first: int = 0) -> Path:
    """`images` different pictures for each of `classes` folders below `root`: enough for every split to get some."""
    for label in range(classes):
        for i in range(images):
            save(picture(first + label * 1000 + i), root / f"class{label}" / f"{i:03}.{suffix}")
    return root


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and its bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
