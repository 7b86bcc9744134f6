"""Significance matrix of all pairs as SVG text: the number is how many points the row is ahead, the color whether that is beyond chance."""

from collections.abc import Sequence
from math import ceil

from neocog.drawing import axes, numbers, text_width
from neocog.drawing.svg import figure, tag, text
from neocog.report.compare.pairs import LEVEL, Pairs
from neocog.report.figures import WIDTH

CELL = 34.0  # px at most
NUMBERED = 26.0  # px of a cell that has room for its number
LEFT, RIGHT, ROOM = 176.0, 60.0, 160.0  # px left and right of the cells; for the name of a model
LINE = 14.0  # px that a name takes
MOST = 60  # models


def triangle(pairs: Pairs, names: Sequence[str]) -> str:
    """Rows and columns are models by rank; empty with one model, or with too many."""
    count = len(names)
    if not 1 < count <= MOST:
        return ""
    cell = min(CELL, (WIDTH - LEFT - RIGHT) / (count - 1))
    height = cell * 0.76
    short = [text_width.cut(name, ROOM, look="name") for name in names]
    longest = text_width.longest(short[1:], look="tick")
    top = 16 + 0.71 * longest
    every, across = ceil(LINE / height), ceil(LINE / 0.71 / cell)
    cells = [
        _cell(pairs, i, j, x=LEFT + (j - 1) * cell, y=top + i * height, width=cell, height=height)
        for i in range(count - 1)
        for j in range(i + 1, count)
    ]
    rows = [
        text(LEFT + i * cell - 9, top + (i + 0.5) * height + 4.5, name, class_="name", text_anchor="end")
        for i, name in list(enumerate(short[:-1]))[::every]
    ]
    columns = [
        axes.turned(LEFT + (i + 0.5) * cell + 4, top - 8, name) for i, name in list(enumerate(short[1:]))[::across]
    ]
    return figure(
        *columns,
        *rows,
        *cells,
        width=LEFT + (count - 1) * cell + max(RIGHT, 0.71 * longest),
        height=top + (count - 1) * height + 4,
        name="How far each model is ahead of those ranked below it",
        about=f"{pairs.hold} of {pairs.comparisons} differences hold after Holm's correction",
    )


def _cell(pairs: Pairs, i: int, j: int, *, x: float, y: float, width: float, height: float) -> str:
    holds = pairs.holm[i, j] < LEVEL
    box = tag("rect", x=x + 0.5, y=y + 0.5, width=width - 1, height=height - 1, class_="held" if holds else "plain")
    if width < NUMBERED:
        return tag("g", box, class_="duel", data_pair=f"{i},{j}")
    ahead = f"{100 * pairs.difference[i, j]:.1f}"
    words = text(x + width / 2, y + height / 2 + 4, ahead, class_="in" if holds else "in tie", text_anchor="middle")
    return tag("g", box, words, class_="duel", data_pair=f"{i},{j}")


def chance(pairs: Pairs, names: Sequence[str]) -> str:
    """What the triangle says, in sentences."""
    if len(names) < 2:
        return ""
    close = [names[j] for j in range(1, len(names)) if pairs.holm[0, j] >= LEVEL]
    sentence = f"Of {pairs.comparisons} differences, {pairs.alone} are beyond chance (p < 0.05) when asked alone"
    sentence += f" and {pairs.hold} still are when all are asked at once (Holm 1979)."
    if close:
        return f"{sentence} {names[0]}, the first, is not clearly ahead of {_listed(close)}."
    gap = numbers.points(float(pairs.difference[0, 1]))
    return f"{sentence} {names[0]} is ahead of every other, of {names[1]} by {gap}."


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:4])
    if len(names) > 4:
        shown.append(f"{len(names) - 4} others")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
