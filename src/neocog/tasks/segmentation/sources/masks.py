"""Your own images with a mask each: `images/` and `masks/` below data.root, the mask of `images/a/1.jpg` being `masks/a/1.png`.

A mask is a PNG of the image's size, with a palette or in gray, in which each value is a class; 255 is ignored. `classes.csv` (columns value
and class) names the values; without it classes are called by their values. A folder train, val or test around both, or in both, gives the
split; splits that are not there are cut out of train. Masks that cannot be used are named in quarantine.csv, and so are their images.
"""

import hashlib
import re
import warnings
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Unpack

import numpy as np
from PIL import Image

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.data.decoding.resize import to_row
from neocog.data.prepared import SPLITS
from neocog.data.sources import listing as files
from neocog.data.sources.csv_rows import read_csv
from neocog.data.sources.folder import SIZE, Reading, read_listed
from neocog.data.sources.listing import SPLIT_NAMES
from neocog.data.sources.source import Source
from neocog.tasks.segmentation import IGNORED
from neocog.tasks.segmentation.run_lengths import Mask

IMAGES, MASKS, TABLE = "images", "masks", "classes.csv"
TURNED = (5, 6, 7, 8)  # orientations of EXIF in which height and width change places
MOST_PIXELS = 50_000_000


def read(root: Path, **how: Unpack[Reading]) -> Source:
    """Read the images below `root` that have a mask, and these, brought to the size of the prepared images.

    Raises UserError where no image has one, and for a wrong `classes.csv`.
    """
    listing = files.list_files(root)
    names, table = _classes(root / TABLE) if TABLE in listing.paths else ({}, "")
    pairs, masks = _pairs(listing.paths)
    for path in pairs.keys() - masks.keys():
        listing.refused.append(
            (files.spelt(pairs[path]), f"image without mask: {_beside(pairs[path])}.png is not there")
        )
    for path in masks.keys() - pairs.keys():
        listing.refused.append((files.spelt(masks[path]), "mask without image: no image has its name"))
    size, resize = how.get("size") or (SIZE, SIZE), how.get("resize", "crop")
    most = how.get("max_pixels", MOST_PIXELS)
    found: dict[str, Mask] = {}
    content = hashlib.sha256(table.encode())
    for key in sorted(pairs.keys() & masks.keys()):
        path, mask = pairs[key], root / masks[key]
        content.update(mask.read_bytes())
        try:
            found[path] = _read(root / path, mask, names, size=size, resize=resize, most=most)
        except ValueError as error:
            listing.refused.append((files.spelt(masks[key]), str(error)))
    if not found:
        first = (
            f"; the first of {len(listing.refused)} refused: {': '.join(listing.refused[0])}" if listing.refused else ""
        )
        raise UserError(
            f"{root}: no image has a mask; put images into {IMAGES}/ and PNG of the same names into {MASKS}/{first}"
        )
    values = sorted(names) or sorted(
        {value for mask in found.values() for value in np.unique(mask).tolist()} - {IGNORED}
    )
    numbers = np.full(IGNORED + 1, IGNORED, np.uint8)
    numbers[values] = np.arange(len(values))
    numbers[IGNORED] = IGNORED
    paths = sorted(found)
    listing.paths, listing.given = paths, [_split(path) for path in paths]
    listing.classes = [names.get(value, str(value)) for value in values]
    listing.carved = tuple(split for split in SPLITS[1:] if split not in listing.given)
    listing.refused = sorted({*listing.refused})
    source = read_listed(root, listing, numbers[np.stack([found[path] for path in paths])], **how)
    return replace(source, digest=hashlib.sha256(f"{source.digest}{content.hexdigest()}".encode()).hexdigest())


def images(root: Path, paths: Collection[str]) -> list[str]:
    """Of all files below `root` the images that have a mask. Raises UserError if none has."""
    pairs, masks = _pairs(paths)
    if not pairs.keys() & masks.keys():
        raise UserError(
            f"{root}: no image has a mask; segmentation needs images in {IMAGES}/ and PNG of the same names in {MASKS}/ (docs/tasks.md)"
        )
    return [path for key, path in pairs.items() if key in masks]


def _pairs(paths: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Images and masks by what their paths have in common: all but the folder `images` or `masks`, and the suffix."""
    found: dict[str, dict[str, str]] = {IMAGES: {}, MASKS: {}}
    for path in paths:
        folders = PurePosixPath(path).parent.parts
        kind = next((folder for folder in folders if folder in found), None)
        if kind:
            rest = PurePosixPath(path).with_suffix("").parts
            place = rest.index(kind)
            found[kind]["/".join(rest[:place] + rest[place + 1 :])] = path
    return found[IMAGES], found[MASKS]


def _beside(path: str) -> str:
    """Where the mask of an image should lie, without suffix."""
    parts = list(PurePosixPath(path).with_suffix("").parts)
    parts[parts.index(IMAGES)] = MASKS
    return files.spelt("/".join(parts))


def _read(image: Path, path: Path, names: Collection[int], *, size: Size, resize: str, most: int) -> Mask:
    """A mask uint8 [*size] in the values of its file. Raises ValueError with the reason why it cannot be used."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(image) as opened:
                across, down = opened.size
                if opened.getexif().get(0x0112) in TURNED:
                    across, down = down, across
    except (
        Exception
    ):  # whatever a broken file makes Pillow raise: the image itself is refused with its reason where it is decoded
        return np.full(size, IGNORED, np.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                if opened.size != (across, down):
                    raise ValueError(
                        f"mask of another size: {opened.width} x {opened.height} pixels, its image has {across} x {down}"
                    )
                if across * down > most:
                    raise ValueError(
                        f"mask too large: {across} x {down} pixels are more than data.max_pixels (={most})"
                    )
                if opened.mode not in ("1", "L", "P"):
                    raise ValueError(
                        f"mask in colour: its mode is {opened.mode}; save it in gray or with a palette, a value for each class"
                    )
                values = np.array(opened).astype(np.uint8)
    except ValueError as error:
        if str(error).startswith("mask "):
            raise
        raise ValueError(f"unreadable mask: {error}") from None
    except Exception as error:  # whatever a broken file makes Pillow raise
        raise ValueError(f"unreadable mask: {' '.join(str(error).split()) or type(error).__name__}") from None
    strange = sorted({*np.unique(values).tolist()} - {*names, IGNORED}) if names else []
    if strange:
        raise ValueError(f"unknown class: value {strange[0]} is none of {TABLE}")
    return to_row(
        Image.fromarray(values), size=size, channels=1, resize=resize, padding=(IGNORED,) * 3, interpolation="nearest"
    )[..., 0]


def _classes(path: Path) -> tuple[dict[int, str], str]:
    """The name of each value, and the SHA-256 of the CSV. Raises UserError for a value or a name that is wrong or there twice."""
    table = read_csv(
        path, name=str(path), remedy="put a CSV with the columns value and class there", columns=("value", "class")
    )
    names: dict[int, str] = {}
    for number, cells in table.rows:
        value, name = cells["value"], cells["class"].strip()
        where = f"{path}, line {number}"
        if not re.fullmatch(r"[0-9]{1,3}", value) or int(value) >= IGNORED:
            raise UserError(f"{where}: value (={value!r}) must be a number from 0 to {IGNORED - 1}")
        if not name or int(value) in names or name in names.values():
            raise UserError(
                f"{where}: value {value} or class {name!r} is empty or was there before; give each value one name"
            )
        names[int(value)] = name
    return names, table.sha256


def _split(path: str) -> str:
    """The split that a folder of the path names; train if none."""
    folders = [folder.lower() for folder in PurePosixPath(path).parent.parts]
    return next((SPLIT_NAMES[folder] for folder in folders if folder in SPLIT_NAMES), "train")
