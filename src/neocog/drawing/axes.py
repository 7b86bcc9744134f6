"""Axes and labels that several charts share."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from neocog.drawing import numbers
from neocog.drawing.label_placement import Box, Label
from neocog.drawing.svg import Scale, line, tag, text

Steps = Sequence[tuple[float, float]]  # corners of a staircase, px


def percents(scale: Scale, about: int) -> list[tuple[float, str]]:
    """Roughly `about` ticks of a scale of fractions, as written: without decimals where none is needed."""
    ticks = scale.ticks(about)
    digits = 0 if all(abs(100 * tick - round(100 * tick)) < 1e-9 for tick in ticks) else 1
    return [(tick, numbers.percent(tick, digits=digits)) for tick in ticks]


def fractions(y: Scale, heading: str, *, end: float) -> str:
    """A vertical axis of fractions on the left, called `heading`, with lines up to `end` px."""
    ticks = percents(y, 5)
    return tag(
        "g",
        *(line(48, y(tick), end, y(tick), class_="grid") for tick, _ in ticks),
        *(text(42, y(tick) + 4, words, class_="tick", text_anchor="end") for tick, words in ticks),
        text(0, 12, heading, class_="axis"),
    )


def turned(x: float, y: float, words: str, *, room: float | None = None) -> str:
    """Words above a narrow column, turned by 45 degrees."""
    return text(x, y, words, room=room, class_="tick", transform=f"rotate(-45 {x:.1f} {y:.1f})")


def named(label: Label, *, look: str = "name", **attributes: Any) -> str:
    """A name where it was placed, with a line to its mark if that is far."""
    (a, b), (c, d) = label.start, label.near
    leader = line(a, b, c, d, class_="leader", **attributes) if label.led else ""
    return leader + text(label.x, label.y, label.words, class_=look, text_anchor=label.anchor, **attributes)


def walls(steps: Steps) -> list[Box]:
    """What a line of straight pieces covers, for names that are to keep off it."""
    return [Box(min(a, c) - 1, min(b, d) - 1, max(a, c) + 1, max(b, d) + 1) for (a, b), (c, d) in pairwise(steps)]
