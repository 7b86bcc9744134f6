"""Your own images with boxes in COCO's JSON: any `*.json` below data.root with `images`, `annotations` and `categories`.

A file's images lie beside it, below data.root, or in its `images` folder, as their `file_name` says. A file with train, val or test in its
path is of that split (`instances_train2017.json`, `valid/_annotations.coco.json`); splits that no file names are cut out of train. Classes
are the categories that have a box, by name.

https://cocodataset.org/#format-data
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Unpack

from neocog.core.errors import UserError
from neocog.data.sources import listing as files
from neocog.data.sources.folder import Reading
from neocog.data.sources.source import Source
from neocog.tasks.detection.sources.annotated import Annotations, split_of

KEYS = ("images", "annotations", "categories")


def read(root: Path, **how: Unpack[Reading]) -> Source:
    """Read the images that COCO's files below `root` name, with their boxes.

    Raises UserError where no file names an image that is there, and for a file that is no JSON.
    """
    listing = files.list_files(root)
    there = {path for path in listing.paths if not path.endswith(".json")}
    found = Annotations()
    for path in (path for path in listing.paths if path.endswith(".json")):
        _read(root, path, there, found)
    if not found.splits:
        raise UserError(
            f"{root}: no COCO file names an image that is there; put a *.json with {', '.join(KEYS)} there, and its images beside it"
        )
    return found.source(root, listing, **how)


def images(root: Path, paths: Sequence[str]) -> list[str]:
    """Of all files below `root` those that may be images. Raises UserError where no file can be COCO's."""
    if not any(path.endswith(".json") for path in paths):
        raise UserError(
            f"{root}: no *.json is here; detection needs COCO's, with images, annotations and categories (docs/tasks.md)"
        )
    return [path for path in paths if not path.endswith(".json")]


def _read(root: Path, path: str, there: set[str], found: Annotations) -> None:
    """Add what one file says to `found`."""
    content = (root / path).read_bytes()
    try:
        document = json.loads(content)
    except ValueError as error:
        raise UserError(f"{root / path}: no JSON ({error}); mend or remove the file") from None
    if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in KEYS):
        found.refused.append((files.spelt(path), f"no COCO file: {', '.join(KEYS)} must be lists"))
        return
    found.saw(content)
    split, file = split_of(path), files.spelt(path)
    names = {each.get("id"): str(each.get("name")) for each in document["categories"] if isinstance(each, dict)}
    images: dict[Any, str] = {}
    for entry in document["images"]:
        each = entry if isinstance(entry, dict) else {}
        name = str(each.get("file_name", ""))
        places = [PurePosixPath(path).parent / name, PurePosixPath(path).parent / "images" / name, PurePosixPath(name)]
        places += [PurePosixPath(folder) / name for folder in ("images", split, f"images/{split}")]
        image = next((str(place) for place in places if str(place) in there), None)
        height, width = (each.get(key) for key in ("height", "width"))
        if image is None:
            found.refused.append((f"{file}#image {name}", "missing file: no file of data.root has this name"))
        elif not (isinstance(height, int) and isinstance(width, int) and min(height, width) > 0):
            found.refused.append((image, "no size: height and width of the image must be in the COCO file"))
        elif image in found.splits:
            found.refused.append((f"{file}#image {name}", "image twice: another entry names the same file"))
        else:
            images[each.get("id")] = image
            found.image(image, (height, width), split=split)
    for number, entry in enumerate(document["annotations"]):
        each = entry if isinstance(entry, dict) else {}
        name = f"{file}#annotation {each.get('id', number)}"
        if reason := _why_not(each, images, names):
            found.refused.append((name, reason))
            continue
        x, y, width, height = map(float, each["bbox"])
        found.add(images[each["image_id"]], names[each["category_id"]], (x, y, x + width, y + height), name=name)


def _why_not(annotation: Mapping[str, Any], images: Mapping[Any, str], names: Mapping[Any, str]) -> str:
    """Why an annotation has no box of a known class in an image that is there; empty where it has."""
    image, category, box = (annotation.get(key) for key in ("image_id", "category_id", "bbox"))
    if image not in images:
        return f"annotation without image: image_id (={image!r}) is that of no image that is there"
    if category not in names:
        return f"unknown class: category_id (={category!r}) is that of no category"
    if annotation.get("iscrowd"):
        return "crowd: the box is around many objects"
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, int | float) for side in box):
        return f"no box: bbox (={box!r}) must be [x, y, width, height]"
    return ""
