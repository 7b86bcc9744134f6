"""Your own images with boxes in COCO's JSON: any `*.json` below data.root with `images`, `annotations` and `categories`.

A file's images lie beside it, below data.root, or in its `images` folder, as their `file_name` says. A file with train, val or test in its
path is of that split (`instances_train2017.json`, `valid/_annotations.coco.json`); splits that no file names are cut out of train. Classes
are the categories that have a box, by name. Every annotation that cannot be used is named in quarantine.csv, and its image stays.

https://cocodataset.org/#format-data
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Unpack

import numpy as np

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.data.prepared import SPLITS
from neocog.data.sources import listing as files
from neocog.data.sources.folder import SIZE, Reading, read_listed
from neocog.data.sources.listing import SPLIT_NAMES
from neocog.data.sources.source import Source
from neocog.tasks.detection.geometry import VISIBLE, area, clip, resized
from neocog.tasks.detection.targets import padded

SMALLEST = 1.0  # side in pixels of the prepared image below which nothing of an object is left
WHERE = ("images", "annotations", "categories")


@dataclass
class Annotated:
    """What the files say: each image by its path below data.root, with its split, its size, and its annotations [label, box, name]."""

    sha256: str = ""
    splits: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    boxes: dict[str, list[tuple[str, list[float], str]]] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)


def read(root: Path, **how: Unpack[Reading]) -> Source:
    """Read the images that COCO's files below `root` name, with their boxes in pixels of the prepared image.

    Raises UserError for no such file, and for one that is no COCO.
    """
    listing = files.list_files(root)
    jsons = [path for path in listing.paths if path.endswith(".json")]
    found = Annotated()
    there = {path for path in listing.paths if not path.endswith(".json")}
    for path in jsons:
        _read(root, path, there, found)
    if not found.splits:
        raise UserError(
            f"{root}: no COCO file names an image that is there; put a *.json with {', '.join(WHERE)} there, and its images beside it"
        )
    named = sorted(found.splits)
    classes = sorted({label for boxes in found.boxes.values() for label, _, _ in boxes})
    if unnamed := sorted(path for path in there - {*named} if Path(path).suffix.lower() in files.SUFFIXES):
        listing.notes.append(
            f"{len(unnamed)} images are in no COCO file and are passed over, the first: {files.spelt(unnamed[0])}"
        )
    empty = sum(not found.boxes.get(path) for path in named)
    if empty:
        listing.notes.append(f"{empty} images have no annotation and are kept as background")
    size = how.get("size") or (SIZE, SIZE)
    rows = [_targets(path, found, classes, size, how.get("resize", "crop")) for path in named]
    listing.paths, listing.given, listing.classes = named, [found.splits[path] for path in named], classes
    listing.carved = tuple(split for split in SPLITS[1:] if split not in found.splits.values())
    listing.refused = sorted({*listing.refused, *found.refused})
    source = read_listed(root, listing, padded(rows), **how)
    return replace(source, digest=hashlib.sha256(f"{source.digest}{found.sha256}".encode()).hexdigest())


def _targets(path: str, found: Annotated, classes: list[str], size: Size, resize: str) -> np.ndarray:
    """The boxes of one image [m, 5] in pixels of the prepared image; what is cut off by more than its half's half is refused."""
    rows = []
    for label, box, name in found.boxes.get(path, []):
        whole = resized(np.array([box]), found.sizes[path], size, resize=resize)
        cut = clip(whole, size)
        sides = cut[0, 2:] - cut[0, :2]
        if sides.min() < SMALLEST or area(cut)[0] < VISIBLE * area(whole)[0]:
            found.refused.append(
                (name, f"cut away: less than {VISIBLE:.0%} of the box, or of a pixel, is left at data.size")
            )
            continue
        rows.append([*cut[0], classes.index(label)])
    return np.array(rows, np.float32).reshape(-1, 5)


def _read(root: Path, path: str, there: set[str], found: Annotated) -> None:
    """Add what one file says to `found`."""
    content = (root / path).read_bytes()
    try:
        document = json.loads(content)
    except ValueError as error:
        raise UserError(f"{root / path}: no JSON ({error}); mend or remove the file") from None
    if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in WHERE):
        found.refused.append((files.spelt(path), f"no COCO file: {', '.join(WHERE)} must be lists"))
        return
    found.sha256 = hashlib.sha256(found.sha256.encode() + content).hexdigest()
    split = _split(path)
    names = {each.get("id"): str(each.get("name")) for each in document["categories"] if isinstance(each, dict)}
    images: dict[Any, str] = {}
    for each in document["images"]:
        name = str(each.get("file_name", "")) if isinstance(each, dict) else ""
        places = [PurePosixPath(path).parent / name, PurePosixPath(path).parent / "images" / name, PurePosixPath(name)]
        places += [PurePosixPath(folder) / name for folder in ("images", split, f"images/{split}")]
        image = next((str(place) for place in places if str(place) in there), None)
        if image is None:
            found.refused.append(
                (f"{files.spelt(path)}#image {name}", "missing file: no file of data.root has this name")
            )
            continue
        sides = [each.get(key) for key in ("height", "width")]
        if not all(isinstance(side, int) and side > 0 for side in sides):
            found.refused.append((image, "no size: height and width of the image must be in the COCO file"))
            continue
        if image in found.splits:
            found.refused.append(
                (f"{files.spelt(path)}#image {name}", "image twice: another entry names the same file")
            )
            continue
        images[each.get("id")] = image
        found.splits[image], found.sizes[image] = split, (sides[0], sides[1])
    for image, label, box, name, reason in _annotations(document["annotations"], images, names, found.sizes):
        if reason:
            found.refused.append((f"{files.spelt(path)}#annotation {name}", reason))
        elif any(same == (label, box) for *same_parts, _ in found.boxes.get(image, []) for same in [tuple(same_parts)]):
            found.refused.append(
                (f"{files.spelt(path)}#annotation {name}", "duplicate: the image has this box with this class already")
            )
        else:
            found.boxes.setdefault(image, []).append((label, box, f"{files.spelt(path)}#annotation {name}"))


def _annotations(
    annotations: list[Any], images: Mapping[Any, str], names: Mapping[Any, str], sizes: Mapping[str, Size]
) -> Iterator[tuple[str, str, list[float], str, str]]:
    """(image, class, box x1 y1 x2 y2 within the image, what the annotation is called, why it cannot be used) of each."""
    for number, entry in enumerate(annotations):
        each = entry if isinstance(entry, dict) else {}
        name = str(each.get("id", number))
        box, reason = each.get("bbox"), ""
        image, label = images.get(each.get("image_id"), ""), names.get(each.get("category_id"), "")
        whole = (
            isinstance(box, list)
            and len(box) == 4
            and all(isinstance(side, int | float) and math.isfinite(side) for side in box)
        )
        if not image:
            reason = f"annotation without image: image_id (={each.get('image_id')!r}) is that of no image that is there"
        elif not label:
            reason = f"unknown class: category_id (={each.get('category_id')!r}) is that of no category"
        elif each.get("iscrowd"):
            reason = "crowd: the box is around many objects"
        elif not whole:
            reason = f"no box: bbox (={box!r}) must be [x, y, width, height]"
        if reason or not isinstance(box, list):
            yield image, label, [], name, reason
            continue
        x, y, width, height = map(float, box)
        inside = clip(np.array([x, y, x + width, y + height]), sizes[image])
        if width <= 0 or height <= 0:
            reason = f"zero area: bbox (={box}) has no width or no height"
        elif (inside[2:] - inside[:2]).min() <= 0:
            reason = f"out of the image: bbox (={box}) lies outside its {sizes[image][1]} x {sizes[image][0]} pixels"
        yield image, label, inside.tolist(), name, reason


def _split(path: str) -> str:
    """The split that a path names, from its end on; train if none."""
    words = re.findall(r"[a-z]+", path.lower())
    return next((SPLIT_NAMES[word] for word in reversed(words) if word in SPLIT_NAMES), "train")
