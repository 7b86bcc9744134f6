"""The confusion matrix as a drawing, and in words: which class is taken for which."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.accuracy import Floats, Ints
from neocog.report import numbers
from neocog.report.labels import cut
from neocog.report.pictures import png
from neocog.report.svg import figure, tag, text, title

SIDE = 560  # px of the whole matrix where cells may shrink
LARGEST, NUMBERED = 64.0, 34.0  # px of a cell: at most; with its number written in
LONGEST = 19  # characters of a class's name
DRAWN = 30  # classes: beyond, the cells are pixels of one picture
RIGHT, WRONG = (0, 114, 178), (213, 94, 0)  # as --right and --wrong in figures.css (Okabe & Ito 2008)


@dataclass(frozen=True)
class Mixup:
    """`times` images of class `actual` were called `predicted`, a `share` of all images of that class."""

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
    """Rows are what an image is, columns what it was called, in % of the row: blue is right, orange is wrong."""
    cell = min(LARGEST, SIDE / len(classes))
    step = ceil(14 / cell) if cell < 9 else 1  # write every so many names where they would not fit
    longest = max(len(cut(label, LONGEST)) for label in classes)
    left, top = 26 + 6.7 * longest, 26 + 5.0 * longest
    side = cell * len(classes)
    drawn = len(classes) <= DRAWN
    cells = _cells(matrix, classes, cell=cell, left=left, top=top) if drawn else _pixels(matrix, left, top, side)
    named = list(enumerate(classes))[::step]
    small = "tick" if cell >= 13 or step > 1 else "tick tiny"
    rows = [
        text(left - 7, top + (i + 0.5) * cell + 4, cut(label, LONGEST), class_=small, text_anchor="end")
        for i, label in named
    ]
    turned = [(left + (i + 0.5) * cell + 4, top - 7.0, label) for i, label in named]
    columns = [
        text(x, y, cut(label, LONGEST), class_=small, transform=f"rotate(-45 {x:.1f} {y:.1f})")
        for x, y, label in turned
    ]
    return figure(
        tag("rect", x=left, y=top, width=side, height=side, class_="plain"),
        *cells,
        *rows,
        *columns,
        text(left - 7, top - 9, "is ↓ called →", class_="axis", text_anchor="end"),
        width=left + side + 5.0 * longest + 10,
        height=top + side + 2,
        name=f"Confusion matrix of {name}",
        about="; ".join(f"{m.actual} called {m.predicted} {m.times} times" for m in mixups(matrix, classes, most=5))
        or "no mistakes",
    )


def _cells(matrix: Ints, classes: Sequence[str], *, cell: float, left: float, top: float) -> list[str]:
    share = shares(matrix)
    drawn = []
    for a, p in zip(*np.nonzero(matrix), strict=True):
        depth = float(_depth(share[a, p], right=a == p))
        x, y = left + p * cell, top + a * cell
        hover = f"{classes[a]} called {classes[p]}: {matrix[a, p]:,} ({numbers.percent(share[a, p])})"
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
