"""Your own images with boxes in Pascal VOC's XML: one `*.xml` an image, with `filename`, `size` and an `object` for each box.

An image lies beside its file, or in `JPEGImages` or `images` beside the folder of the files. Splits are as the lists
`ImageSets/Main/{train,val,test}.txt` say, or as train, val or test in a path does; what neither names is train, and absent splits are cut
out of it.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/index.html
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Unpack
from xml.etree import ElementTree

from neocog.core.errors import UserError
from neocog.data.sources import listing as files
from neocog.data.sources.folder import Reading
from neocog.data.sources.source import Source
from neocog.tasks.detection.sources.annotated import Annotations, split_of

FOLDERS = ("JPEGImages", "images")
SIDES = ("xmin", "ymin", "xmax", "ymax")  # whole pixels counted from 1, the last one included


def read(root: Path, **how: Unpack[Reading]) -> Source:
    """Read the images that VOC's files below `root` name, with their boxes. Raises UserError where none does."""
    listing = files.list_files(root)
    there = {*listing.paths}
    found, lists = Annotations(), _lists(root, listing.paths)
    for path in (path for path in listing.paths if path.lower().endswith(".xml")):
        _read(root, path, there, lists, found)
    if not found.splits:
        raise UserError(
            f"{root}: no Pascal VOC file names an image that is there; put an *.xml for each image beside it"
        )
    return found.source(root, listing, **how)


def _read(root: Path, path: str, there: set[str], lists: dict[str, str], found: Annotations) -> None:
    """Add what one file says to `found`."""
    content, file, at = (root / path).read_bytes(), files.spelt(path), PurePosixPath(path)
    try:
        document = ElementTree.fromstring(content)
        size = (int(document.findtext("size/height", "0")), int(document.findtext("size/width", "0")))
    except (ElementTree.ParseError, ValueError) as error:
        found.refused.append((file, f"no VOC file: {error}"))
        return
    name = document.findtext("filename") or ""
    places = [at.parent / name, *(at.parent.parent / folder / name for folder in FOLDERS), PurePosixPath(name)]
    image = next((str(place) for place in places if name and str(place) in there), None)
    if image is None:
        found.refused.append((file, f"annotation without image: filename (={name!r}) is no file of data.root"))
    elif min(size) <= 0:
        found.refused.append((file, "no size: size/height and size/width must be in the file"))
    elif image in found.splits:
        found.refused.append((file, "image twice: another file names the same image"))
    else:
        found.saw(content)
        found.image(image, size, split=lists.get(at.stem, split_of(path)))
        for number, each in enumerate(document.iter("object")):
            label, called = (each.findtext("name") or "").strip(), f"{file}#object {number}"
            try:
                x1, y1, x2, y2 = (float(each.findtext(f"bndbox/{side}", "none")) for side in SIDES)
            except ValueError:
                found.refused.append((called, f"no box: bndbox needs {', '.join(SIDES)}"))
                continue
            if label:
                found.add(image, label, (x1 - 1, y1 - 1, x2, y2), name=called)
            else:
                found.refused.append((called, "unknown class: the object has no name"))


def _lists(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """The split of each image, by its name without suffix, as the lists of `ImageSets/Main` say."""
    found: dict[str, str] = {}
    for path in paths:
        at = PurePosixPath(path)
        if at.parent.parts[-2:] == ("ImageSets", "Main") and at.name in ("train.txt", "val.txt", "test.txt"):
            for line in (root / path).read_text(encoding="utf-8", errors="replace").splitlines():
                found[line.split()[0] if line.split() else ""] = at.stem
    return found
