"""Score against cost before and after compression as SVG text: an arrow from each parent to its compressed model, and both fronts."""

from collections.abc import Callable, Sequence
from math import dist

from neocog.drawing import axes, numbers, svg
from neocog.drawing.label_placement import Box, Label, place
from neocog.drawing.svg import Scale, figure, line, marker, path, tag, text, title
from neocog.report.figures import HALF, ChartPoint, front, span

HEIGHT = 460
Move = tuple[ChartPoint, ChartPoint]  # from the parent to what became of it
Steps = list[tuple[float, float]]


def moves(
    points: Sequence[ChartPoint],
    compressed: Sequence[Move],
    *,
    score: str,
    price: str,
    number_format: Callable[[float], str],
) -> str:
    """The `score`, as it is called, over a price on a log scale, with an arrow for each of `compressed`; `number_format` writes a price.

    The lines are the fronts: of the models that were not compressed, dashed, and of all. Models far below those that were
    compressed are left out, so that these can be told apart.
    """
    concerned = [point for move in compressed for point in move]
    floor = min(point.low for point in concerned)
    low, high = span([point for point in points if point.y >= floor])
    shown = [point for point in points if point.y >= low]
    cheap, dear = min(point.x for point in shown), max(point.x for point in shown)
    spare = max(1.4, (10 * cheap / dear) ** 0.5)  # each side, a decade in all at least
    x, y = Scale(cheap / spare, dear * spare, 52, HALF - 12, log=True), Scale(low, high, HEIGHT - 56, 40)
    after = front(points)
    before = front([point for point in points if point.kind != "compressed"])
    lines = [_staircase(best, x, y) for best in (before, after)]
    named = sorted((p for p in shown if p in concerned or p in after or p in before), key=lambda p: p not in concerned)
    arrows = [((x(a.x), y(a.y)), (x(b.x), y(b.y))) for a, b in compressed]
    return figure(
        axes.fractions(y, f"{score}, test images", end=HALF),
        *(svg.tick(x(at), HEIGHT - 34, number_format(at), end=HALF) for at in x.ticks(4)),
        text(HALF - 12, HEIGHT - 10, price, class_="axis", text_anchor="end"),
        *(path(steps, class_=f"front {when}") for steps, when in zip(lines, ("before", "after"), strict=True) if steps),
        *(_mark(point, x, y, aside=point not in concerned) for point in sorted(shown, key=concerned.__contains__)),
        *(_arrow(start, end) for start, end in arrows),
        *(axes.named(label) for label in _labels(named, x, y, arrows=arrows, walls=lines) if label),
        _key(),
        width=HALF,
        height=HEIGHT,
        name=f"Accuracy against {price}, before and after compression",
        about="; ".join(
            f"{b.name}: {numbers.percent(b.y)} at {number_format(b.x)}, from {numbers.percent(a.y)} at {number_format(a.x)}"
            for a, b in compressed
        ),
    )


def _staircase(best: Sequence[ChartPoint], x: Scale, y: Scale) -> Steps:
    """The front as far as it lies on the scale: the best that each price buys, px."""
    steps: Steps = []
    for point in best:
        if point.y >= y.low:
            steps += [(x(point.x), steps[-1][1] if steps else y.start), (x(point.x), y(point.y))]
    return [*steps, (x.end, steps[-1][1])] if steps else []


def _mark(point: ChartPoint, x: Scale, y: Scale, *, aside: bool) -> str:
    at = x(point.x)
    reach = line(at, min(y(point.low), y.start), at, y(point.high), class_=f"whisker {point.kind}")
    look = "model aside" if aside else "model"
    return tag(
        "g", title(point.hover), "" if aside else reach, marker(point.kind, at, y(point.y)), class_=look, **point.marks
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """From mark to mark; nothing where they lie on each other."""
    (a, b), (c, d), length = start, end, dist(start, end)
    if length < 22:
        return ""
    dx, dy = (c - a) / length, (d - b) / length
    tip, neck = (c - 9 * dx, d - 9 * dy), (c - 17 * dx, d - 17 * dy)
    sides = [(neck[0] - 4 * dy, neck[1] + 4 * dx), (neck[0] + 4 * dy, neck[1] - 4 * dx)]
    return tag(
        "g",
        path([(a + 9 * dx, b + 9 * dy), neck], class_="arrow"),
        tag("polygon", points=" ".join(f"{p:.2f},{q:.2f}" for p, q in [tip, *sides]), class_="tip"),
    )


def _labels(
    points: Sequence[ChartPoint],
    x: Scale,
    y: Scale,
    *,
    arrows: Sequence[tuple[tuple[float, float], tuple[float, float]]],
    walls: Sequence[Steps],
) -> list[Label | None]:
    """A name for each point where it covers no mark, no front and as little as possible of the arrows."""
    spots = [(x(point.x), y(point.y)) for point in points]
    obstacles = [Box(a - 7, b - 7, a + 7, b + 7) for a, b in spots]
    for steps in walls:
        obstacles += axes.walls(steps)
    for (a, b), (c, d) in arrows:
        along = [(a + (c - a) * i / 8, b + (d - b) * i / 8) for i in range(9)]
        obstacles += [Box(p - 4, q - 4, p + 4, q + 4) for p, q in along]
    words = [(a, b, point.name) for (a, b), point in zip(spots, points, strict=True)]
    return place(words, obstacles=obstacles, within=Box(44, 24, HALF - 2, HEIGHT - 50))


def _key() -> str:
    """Which line is which front."""
    drawn = []
    for left, when in ((HALF - 146, "before"), (HALF - 62, "after")):
        drawn += [
            path([(left, 8.0), (left + 24, 8.0)], class_=f"front {when}"),
            text(left + 30, 12, when, class_="tick"),
        ]
    return tag("g", *drawn)
