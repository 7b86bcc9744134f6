"""What lies in a folder of images, seen from their headers and a sample of pixels: enough to choose sizes before anything is prepared."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from neocog.core.errors import UserError
from neocog.data.sources.listing import list_files, list_images, spelt
from neocog.tasks.task import Task

SAMPLE = 400  # images whose header is read, evenly spread
DECODED = 64  # of these, whose pixels are looked at for colour
_THUMBNAIL = 64  # side in pixels


@dataclass(frozen=True)
class Survey:
    """Number of files and classes (0 where the task reads them from a table), median sides in pixels, and whether there is colour."""

    files: int
    classes: int
    width: int
    height: int
    colour: bool

    @property
    def short_side(self) -> int:
        """Of the median image, in pixels."""
        return min(self.width, self.height)

    def __str__(self) -> str:
        classes = f" in {self.classes} classes" if self.classes else ""
        size = f"{self.width} x {self.height} pixels in the middle"
        return f"{self.files:,} files{classes}, {size}, {'colour' if self.colour else 'gray'}"


def survey(root: Path, task: Task) -> Survey:
    """Look at the images in `root`. Raises UserError where there are none, or they do not lie as the task's source expects them."""
    own = task.source("folder")
    if task.has_places:
        listing = list_files(root)
        annotated = task.source(task.targets.SOURCES[-1])
        assert annotated is not None
        listing.paths = annotated.images(root, listing.paths)
    elif own is None:
        listing = list_images(root)
    else:
        listing = list_files(root)
        if not (root / own.TABLE).is_file():
            raise UserError(
                f"{root}: no {own.TABLE} is here; {task.name} needs it, with the columns path and labels (docs/tasks.md)"
            )
    if own is None and not task.has_places and len(listing.classes) < 2:
        raise UserError(
            f"{root} holds one class, {listing.classes[0]!r}; a classifier needs at least two class folders"
        )
    paths = [path for path in listing.paths if own is None or Path(path).name != own.TABLE]
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, min(SAMPLE, len(paths))).astype(int)] if paths else []
    sizes: list[tuple[int, int]] = []
    colour = False
    why = "there is no file"
    for path in chosen:
        try:
            size, has_colour = _look(root / path, pixels=len(sizes) < DECODED and not colour)
        except Exception as error:  # whatever a broken file makes Pillow raise; `prepare` names each with its reason
            why = f"{spelt(path)}: {' '.join(str(error).split()) or type(error).__name__}"
            continue
        sizes.append(size)
        colour |= has_colour
    if not sizes:
        raise UserError(f"{root} holds no image that can be read ({why}); name the folder that holds your images")
    width, height = (int(median(size[axis] for size in sizes)) for axis in (0, 1))
    return Survey(len(paths), len(listing.classes), width, height, colour)


def _look(path: Path, *, pixels: bool) -> tuple[tuple[int, int], bool]:
    """The size of an image, and whether it has colour as far as `pixels` are looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            size = image.size
            if not pixels:
                return size, False
            image.draft("RGB", (_THUMBNAIL, _THUMBNAIL))
            small = np.asarray(image.convert("RGB").resize((_THUMBNAIL, _THUMBNAIL)), np.int16)
    return size, bool(np.ptp(small, axis=-1).max() > 0)
