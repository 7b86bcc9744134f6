"""Images with boxes from annotation files: the checks of every box, and the reading of the images that have them.

A box that cannot be used is named in quarantine.csv, and its image stays: zero area, out of the image, unknown class, duplicate, cut away
by resizing. An image without a box is kept as background.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

import numpy as np

from neocog.core.image_size import Size
from neocog.data.prepared import SPLITS
from neocog.data.sources import listing as files
from neocog.data.sources.folder import SIZE, Reading, read_listed
from neocog.data.sources.listing import SPLIT_NAMES, Listing
from neocog.data.sources.source import Source
from neocog.tasks.detection.geometry import VISIBLE, area, clip, resized
from neocog.tasks.detection.targets import padded

SMALLEST = 1.0  # side in pixels of the prepared image below which nothing of an object is left


@dataclass(frozen=True)
class AnnotatedBox:
    """A box x1, y1, x2, y2 in pixels of its image, its class, and what it is called in quarantine.csv."""

    label: str
    sides: tuple[float, float, float, float]
    name: str


@dataclass
class Annotations:
    """What annotation files say: each image by its path below data.root, with its split, its size and its boxes; what was refused."""

    splits: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    boxes: dict[str, list[AnnotatedBox]] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    sha256: str = ""

    def saw(self, content: bytes) -> None:
        """Let the content of a file count for the digest of the source."""
        self.sha256 = hashlib.sha256(self.sha256.encode() + content).hexdigest()

    def image(self, path: str, size: Size, *, split: str) -> None:
        """Add an image."""
        self.splits[path], self.sizes[path] = split, size
        self.boxes[path] = []

    def add(self, image: str, label: str, sides: Sequence[float], *, name: str) -> None:
        """Add a box x1, y1, x2, y2 to an image, or refuse it by `name`."""
        height, width = self.sizes[image]
        box = np.array(sides, float)
        inside = clip(box, (height, width))
        given = (*inside.round(3).tolist(),)
        shown = ", ".join(f"{side:g}" for side in sides)
        if not all(map(math.isfinite, sides)):
            self.refused.append((name, f"no box: its sides are {shown}"))
        elif (box[2:] <= box[:2]).any():
            self.refused.append((name, f"zero area: the box ({shown}) has no width or no height"))
        elif (inside[2:] <= inside[:2]).any():
            self.refused.append(
                (name, f"out of the image: the box ({shown}) lies outside its {width} x {height} pixels")
            )
        elif any((other.label, other.sides) == (label, given) for other in self.boxes[image]):
            self.refused.append((name, "duplicate: the image has this box with this class already"))
        else:
            self.boxes[image].append(AnnotatedBox(label, given, name))

    def source(
        self, root: Path, listing: Listing, *, classes: Sequence[str] | None = None, **how: Unpack[Reading]
    ) -> Source:
        """Read the images, with their boxes in pixels of the prepared image; `classes` are those that have a box, by name, if not given."""
        named = sorted(self.splits)
        known = {*self.splits}
        others = sorted(
            path for path in listing.paths if path not in known and Path(path).suffix.lower() in files.SUFFIXES
        )
        if others:
            first = files.spelt(others[0])
            listing.notes.append(
                f"{len(others)} images are in no annotation file and are passed over, the first: {first}"
            )
        if empty := sum(not self.boxes[path] for path in named):
            listing.notes.append(f"{empty} images have no annotation and are kept as background")
        labels = (
            [*classes] if classes is not None else sorted({box.label for boxes in self.boxes.values() for box in boxes})
        )
        rows = [self._rows(path, labels, how.get("size") or (SIZE, SIZE), how.get("resize", "crop")) for path in named]
        listing.paths, listing.given, listing.classes = named, [self.splits[path] for path in named], labels
        listing.carved = tuple(split for split in SPLITS[1:] if split not in self.splits.values())
        listing.refused = sorted({*listing.refused, *self.refused})
        found = read_listed(root, listing, padded(rows), **how)
        return replace(found, digest=hashlib.sha256(f"{found.digest}{self.sha256}".encode()).hexdigest())

    def _rows(self, path: str, labels: list[str], size: Size, resize: str) -> np.ndarray:
        """The boxes of one image [m, 5] in pixels of the prepared image, without those that are cut away."""
        rows = []
        for box in self.boxes[path]:
            whole = resized(np.array([box.sides]), self.sizes[path], size, resize=resize)
            cut = clip(whole, size)
            if (cut[0, 2:] - cut[0, :2]).min() < SMALLEST or area(cut)[0] < VISIBLE * area(whole)[0]:
                self.refused.append(
                    (box.name, f"cut away: less than {VISIBLE:.0%} of the box, or of a pixel, is left at data.size")
                )
                continue
            rows.append([*cut[0], labels.index(box.label)])
        return np.array(rows, np.float32).reshape(-1, 5)


def split_of(path: str) -> str:
    """The split that a path names, from its end on; train if none."""
    words = re.findall(r"[a-z]+", path.lower())
    return next((SPLIT_NAMES[word] for word in reversed(words) if word in SPLIT_NAMES), "train")
