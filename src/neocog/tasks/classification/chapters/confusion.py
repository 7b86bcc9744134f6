"""Confusion matrix as a drawing, and its most frequent confusions."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from neocog.drawing import axes, numbers, text_width
from neocog.drawing.images import png
from neocog.drawing.svg import figure, tag, text, title
from neocog.statistics import Floats, Ints

SIDE = 560  # px of the whole matrix where cells may shrink
LARGEST, NUMBERED = 64.0, 34.0  # px of a cell: at most; with its number written in
ROOM = 128.0  # px for the name of a class
AXES = ("predicted →", "true ↓")
LINE, SLOPE = 14.0, 0.71  # px that a name takes; part of its length that a name turned by 45 degrees is high
DRAWN = 30  # classes: beyond, the cells are pixels of one picture
RIGHT, WRONG = (0, 114, 178), (213, 94, 0)  # as --right and --wrong in figures.css (Okabe & Ito 2008)


@dataclass(frozen=True)
class Mixup:
    """`times` images of class `actual` were predicted as `predicted`, a `share` of all images of that class."""

    actual: str
    predicted: str
    times: int
    share: float


def shares(matrix: Ints) -> Floats:
    """Each row [K, K] as fractions of its class; zeros for a class without images."""
    whole = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, whole, out=np.zeros(matrix.shape), where=whole > 0)


def mixups(matrix: Ints, classes: Sequence[str], *, most: int) -> list[Mixup]:
    """The most frequent confusions of one class for another, at most so many."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = [divmod(int(place), len(classes)) for place in places]
    share = shares(matrix)
    return [Mixup(classes[a], classes[p], int(wrong[a, p]), float(share[a, p])) for a, p in cells if wrong[a, p]]


def heatmap(matrix: Ints, classes: Sequence[str], *, name: str) -> str:
    """Rows are true classes, columns predicted ones, in % of the row: blue is right, orange is wrong."""
    cell = min(LARGEST, SIDE / len(classes))
    longest = max(text_width.width(text_width.cut(label, ROOM, look="tick"), look="tick") for label in classes)
    left = 26 + max(longest, *(text_width.width(words, look="axis") for words in AXES))
    top = 30 + SLOPE * longest
    side = cell * len(classes)
    drawn = len(classes) <= DRAWN
    cells = _cells(matrix, classes, cell=cell, left=left, top=top) if drawn else _pixels(matrix, left, top, side)
    named = list(enumerate(classes))
    rows = [
        text(left - 7, top + (i + 0.5) * cell + 4, label, room=ROOM, class_="tick", text_anchor="end")
        for i, label in named[:: ceil(LINE / cell)]  # every so many where not all would fit
    ]
    turned = [(left + (i + 0.5) * cell + 4, top - 7.0, label) for i, label in named[:: ceil(LINE / SLOPE / cell)]]
    columns = [axes.turned(x, y, label, room=ROOM) for x, y, label in turned]
    return figure(
        tag("rect", x=left, y=top, width=side, height=side, class_="plain"),
        *cells,
        *rows,
        *columns,
        *(text(left - 7, top - 23 + 15 * i, words, class_="axis", text_anchor="end") for i, words in enumerate(AXES)),
        width=left + side + SLOPE * longest + 14,
        height=top + side + 2,
        name=f"Confusion matrix of {name}",
        about="; ".join(
            f"{m.actual} predicted as {m.predicted} {m.times} times" for m in mixups(matrix, classes, most=5)
        )
        or "no mistakes",
    )


def _cells(matrix: Ints, classes: Sequence[str], *, cell: float, left: float, top: float) -> list[str]:
    share = shares(matrix)
    drawn = []
    for a, p in zip(*np.nonzero(matrix), strict=True):
        depth = float(_depth(share[a, p], right=a == p))
        x, y = left + p * cell, top + a * cell
        hover = f"true {classes[a]}, predicted {classes[p]}: {matrix[a, p]:,} ({numbers.percent(share[a, p])})"
        look = {"x": x + 0.5, "y": y + 0.5, "width": cell - 1, "height": cell - 1, "fill_opacity": depth}
        drawn.append(tag("rect", title(hover), class_="right" if a == p else "wrong", **look))
        percent = f"{100 * share[a, p]:.0f}"
        if cell >= NUMBERED and percent != "0":
            shade = "in deep" if a == p and depth > 0.85 else "in mid" if depth > 0.65 else "in"
            drawn.append(text(x + cell / 2, y + cell / 2 + 4.5, percent, class_=shade, text_anchor="middle"))
    return drawn


def _pixels(matrix: Ints, left: float, top: float, side: float) -> list[str]:
    share = shares(matrix)
    diagonal = np.eye(len(share), dtype=bool)
    image = np.zeros((*share.shape, 4), np.uint8)
    image[..., :3] = np.where(diagonal[..., None], RIGHT, WRONG)
    image[..., 3] = 255 * np.where(
        share > 0, np.where(diagonal, _depth(share, right=True), _depth(share, right=False)), 0
    )
    return [tag("image", href=png(image), x=left, y=top, width=side, height=side, style="image-rendering:pixelated")]


def _depth(share: NDArray[np.floating] | float, *, right: bool) -> Floats:
    """How strongly a cell is coloured, 0 to 1; a mistake in 40 % of a class fully, so that rare ones are seen too."""
    return np.asarray(0.08 + 0.87 * share if right else np.minimum(1.0, (share / 0.4) ** 0.6) * 0.95)
