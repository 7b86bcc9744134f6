"""Composed scenes: small pictures of things pasted on crops of photographs, with their exact boxes, masks and classes.

The photographs are those that scikit-learn and Matplotlib bring along: two for training, of which the right quarter is only in test, and
one that is in test alone. The same numbers give the same scenes on every machine.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.data.decoding.decode import content_hash
from neocog.data.sources.source import Source
from neocog.tasks.detection.geometry import clip
from neocog.tasks.detection.targets import padded

PHOTOGRAPHS = {  # package -> files in it, and whether training sees their left part
    "sklearn": (("datasets/images/china.jpg", True), ("datasets/images/flower.jpg", True)),
    "matplotlib": (("mpl-data/sample_data/grace_hopper.jpg", False),),
}
SEEN = 0.75  # left share of a photograph that training sees
HIDDEN = 0.4  # largest share of the smaller of two boxes that both may cover
TRIES = 12  # places tried for a thing, which is left out if none is free

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Things:
    """What is pasted: `pictures` uint8 [T, h, w], bright on black, and their `labels` [T]."""

    pictures: Pixels
    labels: NDArray[np.int64]


def scenes(
    name: str,
    things: Mapping[str, Things],
    counts: Mapping[str, int],
    *,
    classes: Sequence[str],
    side: int,
    sides: tuple[int, int],
    most: int,
    digest: str,
    size: Size | None,
    channels: int | None,
    masks: bool = False,
) -> Source:
    """`counts` scenes of each split, made of its `things`: 1 to `most` on each, of `sides` pixels, on squares of `side` pixels.

    With `size` or one of `channels` they are resized or gray, and the boxes with them. With `masks` the targets are these, uint8
    [N, H, W], in place of boxes: 0 is the background, the first class, and things have the classes behind it.
    """
    images, boxes, given, covered = [], [], [], []
    for number, (split, count) in enumerate(counts.items()):
        chance = np.random.default_rng(number)
        grounds = _grounds(test=split == "test")
        for _ in range(count):
            scene, found, mask = _scene(things[split], grounds, chance, side=side, sides=sides, most=most)
            images.append(scene)
            boxes.append(found)
            covered.append(mask)
        given += [split] * count
    pixels = np.stack(images)
    sha256 = [content_hash(image) for image in pixels]
    if channels == 1 or size is not None:
        wanted = size or (side, side)
        pixels = np.stack([_shaped(image, wanted, channels or 3) for image in pixels])
        covered = [np.asarray(Image.fromarray(mask).resize(wanted[::-1], Image.Resampling.NEAREST)) for mask in covered]
        boxes = [found * [wanted[1] / side, wanted[0] / side, wanted[1] / side, wanted[0] / side, 1] for found in boxes]
    return Source(
        name=name,
        classes=("background", *classes) if masks else tuple(classes),
        images=pixels,
        rows=np.arange(len(pixels)),
        targets=np.stack(covered) if masks else padded(boxes),
        given=given,
        carved=(),
        sha256=sha256,
        paths=[f"{split}/{i}" for split, count in counts.items() for i in range(count)],
        refused=(),
        digest=hashlib.sha256(f"{digest}{''.join(sha256)}{'masks' if masks else ''}".encode()).hexdigest(),
    )


def _shaped(image: Pixels, size: Size, channels: int) -> Pixels:
    picture = (
        Image.fromarray(image).convert("L" if channels == 1 else "RGB").resize(size[::-1], Image.Resampling.BICUBIC)
    )
    return np.asarray(picture).reshape(*size, channels)


def _scene(
    things: Things,
    grounds: Sequence[Image.Image],
    chance: np.random.Generator,
    *,
    side: int,
    sides: tuple[int, int],
    most: int,
) -> tuple[Pixels, NDArray[np.float64], Pixels]:
    """A scene uint8 [side, side, 3], box and class of each thing on it [m, 5], and its mask [side, side]: 0, or 1 more than the class."""
    mask = np.zeros((side, side), np.uint8)
    canvas = np.asarray(_ground(grounds, chance, side), np.float32).copy()
    boxes: list[list[float]] = []
    for _ in range(int(chance.integers(1, most + 1))):
        which, wide = int(chance.integers(len(things.labels))), int(chance.integers(sides[0], sides[1] + 1))
        picture = np.asarray(Image.fromarray(things.pictures[which]).resize((wide, wide)), np.float32)
        if chance.random() < 0.5:
            picture = picture[:, ::-1]
        colour, light = chance.uniform(0.6, 1.0, 3).astype(np.float32), np.float32(chance.uniform(0.7, 1.0))
        alpha = np.clip(picture / 48, 0, 1)
        rows, columns = (np.flatnonzero((alpha > 0.5).any(axis=axis)) for axis in (1, 0))
        places = chance.integers(0, side - wide + 1, (TRIES, 2)).tolist()
        if not len(rows):
            continue
        own = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
        for left, top in places:
            box = own + np.array([left, top, left, top])
            if all(_shared(box, np.array(other[:4])) <= HIDDEN for other in boxes):
                part = canvas[top : top + wide, left : left + wide]
                part += alpha[..., None] * (picture[..., None] * light * colour - part)
                mask[top : top + wide, left : left + wide][alpha > 0.5] = things.labels[which] + 1
                boxes.append([*clip(box, (side, side)).tolist(), float(things.labels[which])])
                break
    return canvas.round().astype(np.uint8), np.array(boxes, float).reshape(-1, 5), mask


def _shared(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The share of the smaller of two boxes that both cover."""
    across, down = (min(first[i + 2], second[i + 2]) - max(first[i], second[i]) for i in (0, 1))
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return max(0.0, across) * max(0.0, down) / smaller


def _ground(grounds: Sequence[Image.Image], chance: np.random.Generator, side: int) -> Image.Image:
    """A square crop of one photograph, resized to `side` pixels and flipped now and then."""
    photograph = grounds[int(chance.integers(len(grounds)))]
    wide = int(chance.integers(side, min(photograph.size) + 1)) if min(photograph.size) > side else min(photograph.size)
    left, top = (int(chance.integers(0, whole - wide + 1)) for whole in photograph.size)
    crop = photograph.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, left + wide, top + wide))
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else crop


def _grounds(*, test: bool) -> list[Image.Image]:
    """The photographs, or the parts of them, that the test split shows, or the others do."""
    found = []
    for package, files in PHOTOGRAPHS.items():
        spec = find_spec(package)
        for file, seen in files:
            path = Path(spec.origin).parent / file if spec and spec.origin else Path(file)
            if not path.is_file():
                raise UserError(f"{path}: the photograph is missing in package {package}; install the package again")
            with Image.open(path) as opened:
                photograph = opened.convert("RGB")
            cut = round(photograph.width * SEEN)
            if test:
                found.append(photograph.crop((cut, 0, photograph.width, photograph.height)) if seen else photograph)
            elif seen:
                found.append(photograph.crop((0, 0, cut, photograph.height)))
    return found
