"""Chapter "Explanations": test images, the regions that spoke for the answer, and the pixels for and against it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.prepared import Prepared
from neocog.drawing import colormaps
from neocog.drawing import images as pictures
from neocog.drawing.images import Pixels
from neocog.report.chapters import Chapter
from neocog.report.explanations.read import Explained, read
from neocog.report.models import JudgedModel
from neocog.report.templates import render

METHODS = {
    "grad_cam": "Where: Grad-CAM (Selvaraju et al. 2017), the maps of the last layer that spoke for the answer.",
    "rollout": "Where: attention rollout (Abnar & Zuidema 2020), the patches from which attention took what it answered.",
    "integrated_gradients": "Which pixels: integrated gradients (Sundararajan et al. 2017), parts that add up to the answer.",
}
SIDE = 84  # px of each of the three, at least
SIDES = (168, 112, 84, 56, 28)  # px of each of the three, at most: the first with which all fit into BUDGET
BUDGET = 400_000  # bytes of the page
BLEND = 0.6  # of the colours over the image


@dataclass(frozen=True)
class Face:
    """One image explained, as a picture of three tiles."""

    picture: str
    label: str
    confidence: float
    caption: str
    right: bool


@dataclass(frozen=True)
class ExplanationFigures:
    """Of each explained model: as what it is called, the methods, and its images by kind of answer."""

    models: tuple[tuple[str, tuple[str, ...], dict[str, list[Face]]], ...]


def draw(
    prepared: Prepared, models: Sequence[JudgedModel], *, reports: Path, called: Mapping[str, str]
) -> ExplanationFigures | None:
    """The chapter's pictures; None if nothing was explained."""
    by_name = {model.row.model: model for model in models}
    found = [each for each in read(reports) if each.model in by_name]
    if not found:
        return None
    images = prepared.split("test").images
    for side in SIDES:
        explained = [
            (
                called[each.model],
                tuple(each.maps),
                dict(_faces(each, by_name[each.model], images, prepared.classes, side=side)),
            )
            for each in found
        ]
        if sum(len(face.picture) for _, _, kinds in explained for faces in kinds.values() for face in faces) <= BUDGET:
            break
    return ExplanationFigures(tuple(explained))


def chapter(drawn: ExplanationFigures | None, *, made: str = "") -> Chapter:
    """The chapter `explained`, empty if nothing was drawn. `made` is how its pictures were made."""
    if drawn is None:
        return Chapter("explained", "Explanations", "")
    folder = Path(__file__).parent
    markup = render(folder / "explanations.html", models=drawn.models, about=METHODS, made=made)
    style = (folder / "explained.css").read_text(encoding="utf-8")
    return Chapter("explained", "Explanations", markup, style=style)


def _faces(
    found: Explained, model: JudgedModel, images: NDArray[np.uint8], classes: Sequence[str], *, side: int = SIDES[0]
) -> Iterator[tuple[str, list[Face]]]:
    place = 0
    caption = model.task.examples.caption
    for kind, rows in found.rows.items():
        faces = []
        for row in rows:
            maps = {name: drawn[place] for name, drawn in found.maps.items()}
            faces.append(
                Face(
                    _picture(np.asarray(images[row]), maps, signed=found.signed, most=side),
                    *model.label_and_confidence(row),
                    caption(model.predictions.targets[row], classes=classes),
                    bool(model.scores[row] == 1),
                )
            )
            place += 1
        yield kind, faces


def _picture(
    image: Pixels, maps: Mapping[str, NDArray[np.floating]], *, signed: Sequence[str], most: int = SIDES[0]
) -> str:
    """The image and its maps side by side, each at most so many px wide: `signed` ones on their own, the others laid over the image."""
    colour = image.repeat(3, axis=2) if image.shape[2] == 1 else image
    tiles = [colour]
    for name, drawn in maps.items():
        if name in signed:
            tiles.append(colormaps.filters(drawn[None, None])[0])
        else:
            over = colormaps.maps(drawn[None])[0]
            tiles.append((BLEND * over + (1 - BLEND) * colour).round().astype(np.uint8))
    small = [pictures.shrunk(tile, side=most) for tile in tiles]
    side = max(small[0].shape[:2])
    return colormaps.png(colormaps.sheet(small, side=side * max(1, min(SIDE, most) // side), columns=len(tiles)))
