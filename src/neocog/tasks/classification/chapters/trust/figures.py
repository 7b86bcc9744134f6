"""Confidence against accuracy, risk against coverage, and groups of images, as SVG text."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.drawing import numbers, svg, text_width
from neocog.drawing.label_placement import Box, place
from neocog.drawing.svg import Scale, figure, line, path, tag, text, title
from neocog.report.figures import HALF
from neocog.statistics.slices import Slice
from neocog.tasks.classification.calibration import Bin
from neocog.tasks.classification.selective import RiskCoverageCurve
from neocog.tasks.classification.trust import RISK

TALL = 330  # px
POINTS = 60  # of a curve
ROW = 23  # px of a group
ROOM = 160.0  # px for the name of a group
MOST = 24  # groups that are drawn


def reliability(bins: Sequence[Bin], honest: Sequence[Bin], *, name: str) -> str:
    """How often a model is right when it is so sure. Dots stand above the diagonal where it is too modest, below where too sure."""
    x, y = Scale(0, 1, 52, HALF - 12), Scale(0, 1, TALL - 46, 30)
    total = sum(each.images for each in bins)
    marks = [
        tag(
            "g",
            title(
                f"{each.images:,} images: {numbers.percent(each.confidence)} sure, {numbers.percent(each.accuracy)} right"
            ),
            line(x(each.confidence), y(each.confidence), x(each.confidence), y(each.accuracy), class_="gap"),
            tag(
                "circle",
                cx=x(each.confidence),
                cy=y(each.accuracy),
                r=2.5 + 9 * (each.images / total) ** 0.5,
                class_="mark trained",
            ),
        )
        for each in bins
    ]
    after = [(x(each.confidence), y(each.accuracy)) for each in honest]
    return figure(
        *(line(x.start, y(tick), x.end, y(tick), class_="grid") for tick in (0, 0.5, 1)),
        *(
            text(42, y(tick) + 4, numbers.percent(tick, digits=0), class_="tick", text_anchor="end")
            for tick in (0, 0.5, 1)
        ),
        *(svg.tick(x(at), TALL - 26, numbers.percent(at, digits=0), end=HALF) for at in (0, 0.5, 1)),
        text(0, 12, "accuracy", class_="axis"),
        text(HALF - 12, TALL - 6, "confidence", class_="axis", text_anchor="end"),
        line(x(0), y(0), x(1), y(1), class_="scale"),
        *marks,
        path(after, class_="honest") if len(after) > 1 else "",
        width=HALF,
        height=TALL,
        name=f"Confidence and accuracy of {name}",
        about="; ".join(
            f"{numbers.percent(each.confidence, digits=0)} sure: {numbers.percent(each.accuracy, digits=0)} right"
            for each in bins
        ),
    )


def answers(curve: RiskCoverageCurve, best: RiskCoverageCurve, *, name: str, rival: str) -> str:
    """How often the answers are wrong if only those are given of which it is surest; `best` is a `rival`'s curve, in gray."""
    high = (
        max(0.06, *(float(each.risk[_drawn(each)].max()) for each in (curve, best))) * 1.12
    )  # of few images the first may be wrong
    x, y = Scale(0, 1, 52, HALF - 12), Scale(0, high, TALL - 46, 30)
    lines = [line(x.start, y(tick), x.end, y(tick), class_="grid") for tick in y.ticks(4)]
    digits = 0 if high > 0.1 else 1
    told = [text(42, y(t) + 4, numbers.percent(t, digits=digits), class_="tick", text_anchor="end") for t in y.ticks(4)]
    coverage = curve.coverage_at(RISK)
    marks = []
    if 0 < coverage < 1:
        words = f"coverage {numbers.percent(coverage, digits=0)} at risk {numbers.percent(RISK, digits=0)}"
        at = (x(coverage), y(RISK))
        drawn = [*_thinned(curve, x, y), *_thinned(best, x, y)]
        obstacles = [Box(a - 5, b - 5, a + 5, b + 5) for a, b in (at, *drawn)]
        within = Box(x.start, 22, HALF - 4, y.start - 4)
        marks = [tag("circle", cx=at[0], cy=at[1], r=4.5, class_="mark trained")]
        for label in place([(*at, words)], obstacles=obstacles, within=within):
            if label:
                marks.append(line(*label.start, *label.near, class_="leader") if label.led else "")
                marks.append(text(label.x, label.y, words, class_="name", text_anchor=label.anchor))
    return figure(
        *lines,
        *told,
        *(svg.tick(x(at), TALL - 26, numbers.percent(at, digits=0), end=HALF) for at in (0, 0.5, 1)),
        text(0, 12, "risk: share of the answers that is wrong", class_="axis"),
        text(HALF - 12, TALL - 6, "coverage: share of images that are answered", class_="axis", text_anchor="end"),
        path(_thinned(best, x, y), class_="record") if best is not curve else "",
        path(_thinned(curve, x, y), class_="curve"),
        *marks,
        width=HALF,
        height=TALL,
        name=f"Risk and coverage of {name}",
        about=f"{numbers.percent(float(curve.risk[-1]))} wrong if it answers all"
        + ("" if best is curve else f"; in gray {rival}"),
    )


def _thinned(curve: RiskCoverageCurve, x: Scale, y: Scale) -> list[tuple[float, float]]:
    return [(x(float(curve.coverage[i])), y(float(curve.risk[i]))) for i in _drawn(curve)]


def _drawn(curve: RiskCoverageCurve) -> NDArray[np.int_]:
    """The places of a curve that are drawn."""
    return np.unique(np.linspace(len(curve.risk) // 100, len(curve.risk) - 1, POINTS).astype(int))


def groups(found: Sequence[Slice], *, name: str, overall: float) -> str:
    """Each group's top-1 with its interval, the worst first; the line is the model's top-1 on all images."""
    order = sorted(found, key=lambda each: each.score)
    half = MOST // 2
    shown = order if len(order) <= MOST else [*order[:half], *order[-half:]]
    names = [text_width.cut(each.value, ROOM) for each in shown]
    left = 14 + text_width.longest(names)
    low = max(0.0, min(each.low for each in shown) - 0.03)
    x = Scale(low, 1, left + 8, HALF - 70)
    bottom = 26 + ROW * len(shown)
    rows = [
        _group(each, label, x, left=left, y=26 + ROW * (i + 0.5))
        for i, (each, label) in enumerate(zip(shown, names, strict=True))
    ]
    return figure(
        *(line(x(tick), 22, x(tick), bottom, class_="grid") for tick in x.ticks(4)),
        *(
            text(x(t), bottom + 16, numbers.percent(t, digits=0), class_="tick", text_anchor="middle")
            for t in x.ticks(4)
        ),
        line(x(overall), 18, x(overall), bottom, class_="scale"),
        text(x(overall), 12, "all", class_="tick", text_anchor="middle"),
        *rows,
        width=HALF,
        height=bottom + 24,
        name=f"Top-1 of {name} by group",
        about="; ".join(f"{each.value}: {numbers.percent(each.score)}" for each in shown),
    )


def _group(each: Slice, label: str, x: Scale, *, left: float, y: float) -> str:
    interval = f"[{numbers.percent(each.low)} – {numbers.percent(each.high)}]"
    hover = f"{each.value}: {numbers.percent(each.score)} {interval}, {each.images:,} images"
    return tag(
        "g",
        title(hover),
        text(left, y + 4.5, label, text_anchor="end"),
        line(x(each.low), y, x(each.high), y, class_="whisker trained"),
        tag("circle", cx=x(each.score), cy=y, r=4.5, class_="mark trained"),
        text(HALF, y + 4.5, numbers.percent(each.score), class_="tick", text_anchor="end"),
    )
