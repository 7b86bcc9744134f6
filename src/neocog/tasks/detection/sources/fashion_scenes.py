"""Fashion scenes: one to six garments of Fashion-MNIST on photographs, 96 x 96 pixels in colour, with exact boxes.

A composed set, for trying the task. Garments of test scenes come from Fashion-MNIST's test set, those of val from the end of its training
set, so that no garment of a test or validation scene is seen in training.
"""

import hashlib
from pathlib import Path

from neocog.core.image_size import Size
from neocog.data.sources.fashion_mnist import CLASSES, SHA256, find
from neocog.data.sources.idx import parse_idx
from neocog.data.sources.source import Source
from neocog.tasks.detection.sources.scenes import Things, scenes

SCENES = {"train": 11_000, "val": 1000, "test": 1000}
KEPT = 5000  # garments of Fashion-MNIST's training set for val


def read(
    root: Path, *, size: Size | None = None, channels: int | None = None, masks: bool = False, **_: object
) -> Source:
    """13,000 scenes, the same on every machine; Fashion-MNIST's files are looked for as by its own source. Raises UserError."""
    files = find(root)
    train, test = (
        Things(
            parse_idx(files[f"{prefix}-images-idx3-ubyte"], dimensions=3, name=prefix),
            parse_idx(files[f"{prefix}-labels-idx1-ubyte"], dimensions=1, name=prefix).astype(int),
        )
        for prefix in ("train", "t10k")
    )
    return scenes(
        "fashion_scenes",
        {
            "train": Things(train.pictures[:-KEPT], train.labels[:-KEPT]),
            "val": Things(train.pictures[-KEPT:], train.labels[-KEPT:]),
            "test": test,
        },
        SCENES,
        classes=CLASSES,
        side=96,
        sides=(18, 48),
        most=6,
        digest=hashlib.sha256("".join(SHA256.values()).encode()).hexdigest(),
        size=size,
        channels=channels,
        masks=masks,
    )
