"""Colormaps: weights and activation maps as pictures, by sign or by strength, many on one sheet."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.drawing import images
from neocog.drawing.images import Pixels

FILTERS, MAPS = 24, 12  # pictures shown of a layer; MAPS also in a row of the sheet
SIDE, GAP = 60, 6  # px of a picture, about, and between two
LARGE = 0.98
STEPS = 16  # shades on each side of the middle one
AGAINST, NOTHING, FOR = (0, 94, 150), (244, 240, 231), (200, 82, 0)  # weights below, at and above zero
SILENT, MIDDLE, LOUD = (14, 24, 46), (0, 114, 178), (255, 236, 190)  # a map's lowest, middle and highest answer


def filters(weights: NDArray[np.floating]) -> list[Pixels]:
    """Weights [F, C, h, w] as RGB [h, w, 3], each against its own largest: orange is for, blue against.

    Filters over three channels keep the channels' colours around a middle gray. The largest is a quantile, LARGE, lest a few
    pixels of a whole image bleach all others.
    """
    largest = np.quantile(np.abs(weights), LARGE, axis=(1, 2, 3), keepdims=True).astype(weights.dtype)
    scaled = np.divide(weights, largest, out=np.zeros_like(weights), where=largest > 0).clip(-1, 1)
    if weights.shape[1] == 3:
        return list((127.5 + 127.5 * scaled).round().astype(np.uint8).transpose(0, 2, 3, 1))
    return [_between(picture, (AGAINST, NOTHING, FOR)) for picture in scaled.mean(axis=1)]


def maps(answers: NDArray[np.floating]) -> list[Pixels]:
    """Maps [F, h, w] as RGB [h, w, 3], each from its own lowest answer (dark) to its highest (bright)."""
    low, high = answers.min(axis=(1, 2), keepdims=True), answers.max(axis=(1, 2), keepdims=True)
    scaled = np.divide(2 * (answers - low), high - low, out=np.zeros_like(answers), where=high > low) - 1
    return [_between(picture, (SILENT, MIDDLE, LOUD)) for picture in scaled]


def side(size: int) -> int:
    """The side, about SIDE px, to draw at so that images of `size` px are enlarged by a whole number."""
    return SIDE if size > 1.5 * SIDE else size * max(1, round(SIDE / size))


def sheet(tiles: Sequence[Pixels], *, side: int, columns: int = MAPS) -> Pixels:
    """The pictures [h, w, 3] in rows of `columns`, RGBA; each pixel as a square, larger pictures averaged to `side`."""
    rows, columns, step = ceil(len(tiles) / columns), min(columns, len(tiles)), side + GAP
    canvas = np.zeros((rows * step - GAP, columns * step - GAP, 4), np.uint8)
    for i, tile in enumerate(tiles):
        drawn = images.shrunk(tile, side=side)
        times = side // max(drawn.shape[:2])
        drawn = drawn.repeat(times, axis=0).repeat(times, axis=1)
        top = i // columns * step + (side - drawn.shape[0]) // 2
        left = i % columns * step + (side - drawn.shape[1]) // 2
        canvas[top : top + drawn.shape[0], left : left + drawn.shape[1]] = np.dstack(
            [drawn, np.full(drawn.shape[:2], 255, np.uint8)]
        )
    return canvas


def png(sheet: Pixels) -> str:
    """RGBA [H, W, 4] as `data:image/png;base64,...`, with a palette where its colours are few, which takes a third."""
    colours, places = np.unique(sheet.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) > 256:
        return images.png(sheet)
    image = Image.fromarray(places.reshape(sheet.shape[:2]).astype(np.uint8), "P")
    image.putpalette(colours[:, :3].tobytes())
    file = BytesIO()
    image.save(file, "PNG", optimize=True, transparency=colours[:, 3].tobytes())
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()


def _between(values: NDArray[np.floating], colours: Sequence[tuple[int, int, int]]) -> Pixels:
    """Values -1..1 [h, w] as the colour that lies there between three: at -1, 0 and 1; in STEPS, which pack well."""
    ramp = [np.interp((STEPS * values).round() / STEPS, (-1, 0, 1), channel) for channel in zip(*colours, strict=True)]
    return np.stack(ramp, axis=-1).round().astype(np.uint8)
