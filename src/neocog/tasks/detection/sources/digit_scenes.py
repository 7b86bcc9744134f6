"""Digit scenes: one to four of scikit-learn's 1,797 handwritten digits on photographs, 48 x 48 pixels in colour, with exact boxes.

A composed set, for trying the task without a download. No digit of a test scene is seen in training.
"""

from pathlib import Path

import numpy as np

from neocog.core.image_size import Size
from neocog.data.sources.digits import digits
from neocog.data.sources.source import Source
from neocog.data.splits import assign
from neocog.tasks.detection.sources.scenes import Things, scenes

SCENES = {"train": 2000, "val": 300, "test": 400}
SHARE = 0.15  # of the digits for val, and for test


def read(
    root: Path, *, size: Size | None = None, channels: int | None = None, masks: bool = False, **_: object
) -> Source:
    """2,700 scenes, the same on every machine; nothing is read from `root`."""
    single = digits()
    splits = np.array(
        assign(single.given, single.sha256, carved=("val", "test"), val_fraction=SHARE, test_fraction=SHARE)
    )
    return scenes(
        "digit_scenes",
        {split: Things(single.images[splits == split][..., 0], single.targets[splits == split]) for split in SCENES},
        SCENES,
        classes=single.classes,
        side=48,
        sides=(12, 22),
        most=4,
        digest=single.digest,
        size=size,
        channels=channels,
        masks=masks,
    )
