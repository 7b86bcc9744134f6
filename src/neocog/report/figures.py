"""Charts of the score that models are ranked by, as SVG text: by year, against a price, and in the row of a table.

Pure functions of numbers and names. Colours are CSS variables (figures.css), so that one drawing serves light and dark
pages.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from neocog.drawing import axes, numbers, svg, text_width
from neocog.drawing.label_placement import Box, place
from neocog.drawing.svg import Scale, figure, line, marker, path, tag, text, title

WIDTH, HALF = 1040, 510
LOW, HIGH = 412, 540  # px of a chart's height, for few models and for many
LEAST = 0.05  # of the score that a scale spans, so that one interval does not fill the chart
KINDS = ("trained", "tuned", "compressed")


@dataclass(frozen=True)
class ChartPoint:
    """A model in a chart: `y` is its score with the interval, `x` what it is set against, `model` what the page's script knows it by."""

    name: str
    kind: str
    x: float
    y: float
    low: float
    high: float
    hover: str
    model: str = ""

    @property
    def marks(self) -> dict[str, Any]:
        """Attributes by which the page's script finds what belongs to the model."""
        return {"data_model": self.model, "data_kind": self.kind} if self.model else {}


def ladder(points: Sequence[ChartPoint], *, score: str) -> str:
    """The `score`, as it is called, with its interval over the year of publication; the grey steps are the best so far."""
    years = [point.x for point in points]
    spare = max(4.0, 0.05 * (max(years) - min(years)))
    x = Scale(min(years) - spare, max(years) + spare, 56, WIDTH - 20)
    height = _height(points)
    y = _accuracies(points, bottom=height - 32, top=34)
    ticks = [tick for tick in x.ticks(8) if tick == round(tick)]
    spots = _side_by_side(points, x)
    record = _record([(spot, point.y) for spot, point in zip(spots, points, strict=True)], end=WIDTH - 20)
    steps = [(px, y(py)) for px, py in record]
    return figure(
        axes.fractions(y, f"{score}, test images", end=WIDTH),
        *(text(x(tick), height - 8, f"{tick:.0f}", class_="tick", text_anchor="middle") for tick in ticks),
        path(steps, class_="record") if len(points) > 1 else "",
        *_marks(points, spots, y, steps=steps, within=Box(48, 24, WIDTH - 2, height - 24)),
        _key(points, WIDTH),
        width=WIDTH,
        height=height,
        name="Accuracy by year",
        about="; ".join(
            f"{point.x:.0f} {point.name} {numbers.percent(point.y)}" for point in sorted(points, key=lambda p: p.x)
        ),
    )


def tradeoff(points: Sequence[ChartPoint], *, score: str, price: str, number_format: Callable[[float], str]) -> str:
    """The `score`, as it is called, over a price on a log scale; `number_format` writes a price.

    The line joins the models that no other beats in both (the Pareto front).
    """
    cheap, dear = min(point.x for point in points), max(point.x for point in points)
    spare = max(1.7, (10 * cheap / dear) ** 0.5)  # each side, a decade in all at least
    x = Scale(cheap / spare, dear * spare, 52, HALF - 12, log=True)
    height = _height(points)
    y = _accuracies(points, bottom=height - 56, top=34)
    best = front(points)
    steps: list[tuple[float, float]] = []
    for point in best:
        steps += [(x(point.x), steps[-1][1] if steps else y(y.low)), (x(point.x), y(point.y))]
    steps.append((HALF - 12, steps[-1][1]))
    order = [*best, *(point for point in points if point not in best)]
    return figure(
        axes.fractions(y, f"{score}, test images", end=HALF),
        *(svg.tick(x(at), height - 34, number_format(at), end=HALF) for at in x.ticks(4)),
        text(HALF - 12, height - 10, price, class_="axis", text_anchor="end"),
        path(steps, class_="front") if len(points) > 1 else "",
        *_marks(
            order, [x(p.x) for p in order], y, steps=steps, within=Box(44, 24, HALF - 2, height - 50), bold=len(best)
        ),
        _key(points, HALF),
        width=HALF,
        height=height,
        name=f"Accuracy against {price}",
        about="The models that no other beats in both: " + ", ".join(point.name for point in best),
    )


def front(points: Sequence[ChartPoint]) -> list[ChartPoint]:
    """The points that no other beats: none is as accurate at a lower price or more accurate at the same. By price."""
    best: list[ChartPoint] = []
    for point in sorted(points, key=lambda p: (p.x, -p.y)):
        if not best or point.y > best[-1].y:
            best.append(point)
    return best


def whisker(point: ChartPoint, *, low: float, high: float) -> str:
    """One model's score and interval on a line from low to high, for a row of a table."""
    x = Scale(low, high, 8, 252)
    return figure(
        line(2, 11, 258, 11, class_="grid"),
        line(x(point.low), 11, x(point.high), 11, class_=f"whisker {point.kind}"),
        marker(point.kind, x(point.y), 11, radius=4.5, hover=point.hover),
        width=260,
        height=22,
        name=point.name,
        about=point.hover,
    )


def span(points: Sequence[ChartPoint]) -> tuple[float, float]:
    """Round-ended limits that hold every interval, with some air."""
    low, high = min(point.low for point in points), max(point.high for point in points)
    spare = max(0.06 * (high - low), (LEAST - (high - low)) / 2)
    return max(0.0, low - spare), min(1.0, high + spare)


def _accuracies(points: Sequence[ChartPoint], *, bottom: float, top: float) -> Scale:
    return Scale(*span(points), bottom, top)


def _height(points: Sequence[ChartPoint]) -> int:
    """More models want more room for their names."""
    return min(HIGH, LOW + 12 * max(0, len(points) - 8))


def _marks(
    points: Sequence[ChartPoint],
    spots: Sequence[float],
    y: Scale,
    *,
    steps: Sequence[tuple[float, float]],
    within: Box,
    bold: int = 0,
) -> list[str]:
    """Whiskers, marks and names. The first `bold` points are the ones to look at; 0 = all alike."""
    heights = [y(point.y) for point in points]
    marks = [Box(a - 7, b - 7, a + 7, b + 7) for a, b in zip(spots, heights, strict=True)]
    bars = [Box(a - 2, y(p.high), a + 2, y(p.low)) for a, p in zip(spots, points, strict=True)]
    wanted = [(a, b, point.name) for a, b, point in zip(spots, heights, points, strict=True)]
    labels = place(wanted, obstacles=[*marks, *bars, *axes.walls(steps)], within=within)
    drawn = []
    for i, (point, a, b) in enumerate(zip(points, spots, heights, strict=True)):
        look = "" if i < bold or not bold else " aside"
        drawn.append(
            tag(
                "g",
                title(point.hover),
                line(a, y(point.low), a, y(point.high), class_=f"whisker {point.kind}"),
                marker(point.kind, a, b),
                class_=f"model{look}",
                **point.marks,
            )
        )
    looks = ["name aside" if 0 < bold <= i else "name" for i in range(len(points))]
    beside = zip(points, labels, looks, strict=True)
    return drawn + [axes.named(label, look=look, **point.marks) for point, label, look in beside if label]


def _key(points: Sequence[ChartPoint], width: float) -> str:
    """What the marks mean, where there is more than one kind."""
    kinds = [kind for kind in KINDS if any(point.kind == kind for point in points)]
    drawn, right = [], width - 4.0
    for kind in reversed(kinds if len(kinds) > 1 else []):
        right -= text_width.width(kind, look="tick") + 26
        drawn += [marker(kind, right + 6, 8, radius=4.5), text(right + 15, 12, kind, class_="tick")]
    return tag("g", *drawn) if drawn else ""


def _side_by_side(points: Sequence[ChartPoint], x: Scale) -> list[float]:
    """Pixels of each year, those of one year set apart."""
    total, seen, spots = Counter(point.x for point in points), Counter[float](), []
    for point in points:
        spots.append(x(point.x) + 9 * (seen[point.x] - (total[point.x] - 1) / 2))
        seen[point.x] += 1
    return spots


def _record(points: Sequence[tuple[float, float]], *, end: float) -> list[tuple[float, float]]:
    """The staircase of the best so far, from left to right."""
    steps: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not steps or y > steps[-1][1]:
            steps += [(x, steps[-1][1]), (x, y)] if steps else [(x, y)]
    return [*steps, (end, steps[-1][1])]
