"""Chapter "Filters and activation maps": one test image on its way through every model, and the first weights of each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.prepared import Prepared
from neocog.drawing import colormaps, images
from neocog.inspect import activation_rows, activations
from neocog.report.chapters import Chapter
from neocog.report.models import JudgedModel, classes_phrase
from neocog.report.templates import render

LOOKED_AT = 100  # images among which to choose


def chapter(models: Sequence[JudgedModel], prepared: Prepared, *, called: Mapping[str, str], made: str) -> Chapter:
    """The chapter about `models`, best first, as each is `called`; `made` is how its pictures were made."""
    markup = render(
        Path(__file__).with_name("activations.html"),
        look=content(models, prepared, called=called),
        called=called,
        channels=prepared.channels,
        made=made,
    )
    return Chapter("inside", "Filters and activation maps", markup)


def content(models: Sequence[JudgedModel], prepared: Prepared, *, called: Mapping[str, str]) -> dict[str, Any]:
    """What the chapter shows: the image, the rows of pictures of each model by year, and which model to begin with.

    The image is the one of most detail among the first that the models answer best; `right` is how many of them get it right, None where
    an answer is more than right or wrong. The beginning is the best model that has maps.
    """
    test = prepared.split("test")
    good = np.sum([model.scores for model in models], axis=0)
    clear = np.flatnonzero(good == good.max())[:LOOKED_AT]
    chosen = int(clear[np.argmax([_detail(test.images[row]) for row in clear])])
    image = np.asarray(test.images[chosen])
    found = {model.row.model: activations.look(model.bundle, image) for model in models}
    order = sorted(models, key=lambda model: (model.row.year, model.row.model))
    begin = next((m for m in models if found[m.row.model].depths), models[0])
    return {
        "picture": images.picture(images.shrunk(image, side=112)),
        "id": str(test.ids[chosen]),
        "label": classes_phrase(prepared, test.targets[chosen : chosen + 1]),
        "right": int(good[chosen]) if models[0].scores.dtype == bool else None,
        "begin": begin.row.model,
        "choices": [(model.row.model, called[model.row.model]) for model in order],
        "maps": any(one.depths for one in found.values()),
        "models": [_one(model, found[model.row.model], chosen, size=max(image.shape[:2])) for model in order],
    }


def _detail(image: NDArray[np.uint8]) -> float:
    """Mean difference between pixels beside and below each other."""
    pixels = image.astype(np.float32)
    return float(np.abs(np.diff(pixels, axis=0)).mean() + np.abs(np.diff(pixels, axis=1)).mean())


def _one(model: JudgedModel, found: activations.Inside, chosen: int, *, size: int) -> dict[str, Any]:
    label, confidence = model.label_and_confidence(chosen)
    return {
        "model": model.row.model,
        "label": label,
        "confidence": confidence,
        "missing": activation_rows.missing(found),
        "rows": [_row(row, side=colormaps.side(size)) for row in activation_rows.rows(found)],
    }


def _row(row: activation_rows.ActivationRow, *, side: int) -> dict[str, Any]:
    """A sheet for all the pictures of a row; where they have names, one for each."""
    sheets = [[tile] for tile in row.tiles] if row.names else [row.tiles]
    drawn = [colormaps.sheet(tiles, side=side) for tiles in sheets]
    return {
        "heading": row.heading,
        "words": row.words,
        "names": row.names,
        "sheets": [
            {"picture": colormaps.png(sheet), "width": sheet.shape[1], "height": sheet.shape[0]} for sheet in drawn
        ],
    }
