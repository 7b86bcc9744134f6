"""One test image on its way through every model, and the first weights of each: the section "From edges to parts"."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.prepared import Split
from neocog.drawing import colormaps, images
from neocog.inspect import activation_rows, activations
from neocog.report.models import Model

LOOKED_AT = 100  # images among which to choose


def told(models: Sequence[Model], test: Split, classes: Sequence[str]) -> dict[str, Any]:
    """What the page shows: the image, the rows of pictures of each model by year, and which model to begin with.

    The image is the one of most detail among the first that most models get right; the beginning is the best model that has
    maps. `models` come best first.
    """
    right = np.sum([~model.wrong for model in models], axis=0)
    clear = np.flatnonzero(right == right.max())[:LOOKED_AT]
    chosen = int(clear[np.argmax([_detail(test.images[row]) for row in clear])])
    image = np.asarray(test.images[chosen])
    found = {model.row.model: activations.look(model.bundle, image) for model in models}
    order = sorted(models, key=lambda model: (model.row.year, model.row.model))
    begin = next((m for m in models if found[m.row.model].depths), models[0])
    return {
        "picture": images.png(images.shrunk(image, side=112)),
        "id": str(test.ids[chosen]),
        "label": classes[test.targets[chosen]],
        "right": int(right[chosen]),
        "begin": begin.row.model,
        "maps": any(one.depths for one in found.values()),
        "models": [_one(model, found[model.row.model], chosen, classes, size=image.shape[0]) for model in order],
    }


def _detail(image: NDArray[np.uint8]) -> float:
    """Mean difference between pixels beside and below each other."""
    pixels = image.astype(np.float32)
    return float(np.abs(np.diff(pixels, axis=0)).mean() + np.abs(np.diff(pixels, axis=1)).mean())


def _one(model: Model, found: activations.Inside, chosen: int, classes: Sequence[str], *, size: int) -> dict[str, Any]:
    side = colormaps.side(size)
    judged = model.predictions
    return {
        "model": model.row.model,
        "said": classes[judged.predicted[chosen]],
        "confidence": float(model.confidence[chosen]),
        "missing": activation_rows.missing(found),
        "rows": [_row(row, side=side) for row in activation_rows.rows(found)],
    }


def _row(row: activation_rows.Row, *, side: int) -> dict[str, Any]:
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
