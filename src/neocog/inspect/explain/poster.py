"""Picture of an explanation: the image, and beside it the map of each method."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from neocog.bundle.read import Bundle
from neocog.core.errors import UserError
from neocog.drawing import colormaps
from neocog.drawing.images import Pixels, fitted
from neocog.inspect import explain
from neocog.inspect.activations_poster import INK, MARGIN, PAPER, SOFT, font
from neocog.tasks.task import task

FACE, GAP, HEAD, UNDER = 200, 16, 70, 26  # px of a picture, between two, of the words above, of those below


@dataclass(frozen=True)
class Explanation:
    """Maps [H, W] by method for the output `target` of the model `name`; `missing`: why a method has none."""

    name: str
    target: str
    probability: float
    maps: dict[str, NDArray[np.floating]]
    missing: dict[str, str]


def explained(bundle: Bundle, image: Pixels, methods: Sequence[str], *, of: str | None = None) -> Explanation:
    """Explain the class `of` (default: the answer) in `image` uint8 [H, W, C] by `methods`.

    Raises UserError for an unknown class, or if no method applies.
    """
    respond = task(bundle.task).respond
    model, given = explain.network(bundle), explain.inputs(bundle, image[None])
    with torch.no_grad():
        prediction = respond.calibrated(model(given).numpy(), card=bundle.card)[0]
    target = respond.target(prediction, card=bundle.card, name=of, model=bundle.model)
    maps, missing = {}, {}
    for name in methods:
        method = explain.method(name)
        if why := method.missing(model, given):
            missing[name] = why
        else:
            maps[name] = method.maps(model, given, torch.tensor([target.index])).detach().numpy()[0]
    if not maps:
        reasons = "; ".join(f"{name}: {why}" for name, why in missing.items())
        raise UserError(f"nothing explains {bundle.model}: {reasons}; try --method occlusion")
    return Explanation(bundle.model, target.name, target.probability, maps, missing)


def draw(explanation: Explanation, image: Pixels, *, about: str) -> Image.Image:
    """The picture; `about` says where the image comes from."""
    colour = image.repeat(3, axis=2) if image.shape[2] == 1 else image
    tiles = {"the image": np.asarray(colour)}
    for name, found in explanation.maps.items():
        tiles[name] = (
            colormaps.filters(found[None, None])[0] if explain.method(name).SIGNED else colormaps.maps(found[None])[0]
        )
    width = max(2 * MARGIN + len(tiles) * (FACE + GAP) - GAP, 560)
    canvas = Image.new("RGB", (width, 2 * MARGIN + HEAD + FACE + UNDER), PAPER)
    pen = ImageDraw.Draw(canvas)
    pen.text(
        (MARGIN, MARGIN - 6),
        f"{explanation.name}: what speaks for {explanation.target}, {explanation.probability:.1%}",
        INK,
        font(20),
    )
    pen.text((MARGIN, MARGIN + 26), about, SOFT, font(14))
    for i, (name, tile) in enumerate(tiles.items()):
        face = fitted(tile, side=FACE)
        left = MARGIN + i * (FACE + GAP)
        canvas.paste(face, (left + (FACE - face.width) // 2, MARGIN + HEAD + (FACE - face.height) // 2))
        pen.text((left, MARGIN + HEAD + FACE + 6), name.replace("_", " "), SOFT, font(14))
    return canvas
