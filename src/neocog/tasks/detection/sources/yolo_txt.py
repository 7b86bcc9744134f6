"""Your own images with boxes in YOLO's text files: one `*.txt` an image, a line `class x y width height` a box, in shares of the image.

The file of `images/train/a.jpg` is `labels/train/a.txt`, or `a.txt` beside it; an image without one is kept as background. `classes.txt` (a
name a line) or `names` in `data.yaml` below data.root tells the classes. An image with train, val or test in its path is of that split;
splits that no path names are cut out of train.
"""

from pathlib import Path, PurePosixPath
from typing import Any, Unpack

from PIL import Image, UnidentifiedImageError

from neocog.core import params_yaml
from neocog.core.errors import UserError
from neocog.data.sources import listing as files
from neocog.data.sources.folder import Reading
from neocog.data.sources.source import Source
from neocog.tasks.detection.sources.annotated import Annotations, split_of

NAMES = ("classes.txt", "data.yaml")


def read(root: Path, **how: Unpack[Reading]) -> Source:
    """Read the images below `root`, with the boxes of their text files. Raises UserError without names of classes, and without any box."""
    listing = files.list_files(root)
    there, found = {*listing.paths}, Annotations()
    classes = _classes(root, found)
    for path in listing.paths:
        if Path(path).suffix.lower() in files.SUFFIXES:
            _read(root, path, there, classes, found)
    texts = {str(label) for image in found.splits for label in _places(image)}
    for path in sorted(there - texts):
        if path.endswith(".txt") and PurePosixPath(path).name != NAMES[0]:
            found.refused.append((files.spelt(path), "annotation without image: no image of data.root has this name"))
    if not any(found.boxes.values()):
        raise UserError(
            f"{root}: no image has a box in a text file; put labels/<name>.txt for images/<name>.jpg, or <name>.txt beside it"
        )
    return found.source(root, listing, classes=classes, **how)


def _read(root: Path, path: str, there: set[str], classes: list[str], found: Annotations) -> None:
    """Add an image and its boxes to `found`."""
    try:
        with Image.open(root / path) as opened:
            turned = opened.getexif().get(0x0112, 1) >= 5  # it lies on its side
            width, height = opened.size[::-1] if turned else opened.size
    except (OSError, UnidentifiedImageError, ValueError) as error:
        found.refused.append((files.spelt(path), f"unreadable: {type(error).__name__}"))
        return
    found.image(path, (height, width), split=split_of(path))
    text = next((str(place) for place in _places(path) if str(place) in there), None)
    if text is None:
        return
    content = (root / text).read_bytes()
    found.saw(content)
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        name = f"{files.spelt(text)}#line {number}"
        if not line.strip():
            continue
        try:
            label, x, y, across, down = (float(part) for part in line.split())
        except ValueError:
            found.refused.append((name, "no box: a line must be `class x y width height`"))
            continue
        if label != int(label) or not 0 <= label < len(classes):
            found.refused.append((name, f"unknown class: {label:g} is none of the {len(classes)} classes"))
            continue
        sides = ((x - across / 2) * width, (y - down / 2) * height, (x + across / 2) * width, (y + down / 2) * height)
        found.add(path, classes[int(label)], sides, name=name)


def _places(image: str) -> list[PurePosixPath]:
    """Where the text file of an image may lie."""
    at = PurePosixPath(image).with_suffix(".txt")
    parts = ["labels" if part == "images" else part for part in at.parts]
    return [at, PurePosixPath(*parts), PurePosixPath("labels", *at.parts)]


def _classes(root: Path, found: Annotations) -> list[str]:
    """The names of the classes by number. Raises UserError where no file tells them."""
    for name in NAMES:
        path = root / name
        if not path.is_file():
            continue
        content = path.read_bytes()
        found.saw(content)
        if name == NAMES[0]:
            return [line.strip() for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
        names: Any = params_yaml.read(path).get("names")
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names)]
        if isinstance(names, list) and names:
            return [str(each) for each in names]
    raise UserError(
        f"{root}: no {' and no '.join(NAMES)} tells the names of the classes; put a {NAMES[0]} with a name a line there"
    )
