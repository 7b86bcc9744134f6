"""Rows of pictures of a network's weights and activations, with their headings, for the page and the poster."""

from dataclasses import dataclass

from neocog.drawing import colormaps
from neocog.drawing.images import Pixels
from neocog.inspect.activations import Depth, Filters, Inside

NOTHING = "Nothing in this network can be drawn: no weights lie on the image, and no layer keeps its places."
NO_PLACES = "Behind its first layer no number stands for a place in the image any more, so there are no maps to draw."


@dataclass(frozen=True)
class ActivationRow:
    """Pictures of one layer, RGB [h, w, 3]; `names` has one word a picture, or is empty."""

    heading: str
    words: str
    tiles: list[Pixels]
    names: tuple[str, ...] = ()


def rows(inside: Inside) -> list[ActivationRow]:
    """The first weights, then the maps at each depth."""
    first = [_weights(inside.filters)] if inside.filters else []
    return first + [_maps(depth) for depth in inside.depths]


def summary(inside: Inside) -> str:
    """The rows in a few words: `first filters, maps of layers 1, 4, 6, 9 of 9`."""
    parts = [row.heading.lower() for row in rows(inside)[: inside.filters is not None]]
    if inside.depths:
        layers = ", ".join(str(depth.layer) for depth in inside.depths)
        parts.append(f"maps of layers {layers} of {inside.depths[0].layers}")
    return ", ".join(parts) or missing(inside)


def missing(inside: Inside) -> str:
    """Why there is less to see than usual, in one sentence; empty if there is not."""
    if inside.depths:
        return ""
    return NO_PLACES if inside.filters else NOTHING


def _weights(filters: Filters) -> ActivationRow:
    shown, total = filters.strongest(colormaps.FILTERS), len(filters.weights)
    height, width = filters.weights.shape[2:]
    some = "" if len(shown) == total else f"{len(shown)} of "
    if filters.classes:
        heading, words = "What it looks for", f"{some}{total} templates, one a class"
    elif filters.local:
        heading, words = "First filters", f"{some}{total} filters of {height} × {width} pixels"
    else:
        heading, words = "First units", f"{some}{total} units, each over the whole image"
    if some and not filters.classes:
        words += ", the strongest"
    return ActivationRow(heading, words, colormaps.filters(shown), filters.classes[: len(shown)])


def _maps(depth: Depth) -> ActivationRow:
    total, height, width = depth.maps.shape
    some = f"{colormaps.MAPS} of " if total > colormaps.MAPS else ""
    words = f"{some}{total} maps of {height} × {width}"
    return ActivationRow(f"Layer {depth.layer} of {depth.layers}", words, colormaps.maps(depth.maps[: colormaps.MAPS]))
