"""Figures about all models: their values, handed to the charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite

from neocog.drawing import numbers
from neocog.report import curves, figures, narrative
from neocog.report.curves import LearningCurve
from neocog.report.figures import ChartPoint
from neocog.report.leaderboard import LeaderboardRow
from neocog.report.models import JudgedModel


@dataclass(frozen=True)
class Drawings:
    """Every figure as SVG text. `learning` is empty if nothing was trained; `whiskers` are by model."""

    ladder: str
    latency: str
    size: str
    learning: str
    whiskers: dict[str, str]

    @property
    def files(self) -> dict[str, str]:
        """Those that become files of their own, by name."""
        return {"ladder": self.ladder, "latency": self.latency, "size": self.size, "learning": self.learning}


def draw(models: Sequence[JudgedModel], *, called: Mapping[str, str]) -> Drawings:
    """All figures of `models`; `called` is how each is named in them."""
    rows, metric = [model.row for model in models], models[0].row.metric
    years = [point(row, called, row.year, dated=True) for row in rows]
    rungs = [each for each, model in zip(years, models, strict=True) if model in narrative.first_of_each(models)]
    low, high = figures.span(years)
    val, train = f"val/{metric.name}", f"train/{metric.name}"
    learned = [
        LearningCurve(called[m.row.model], val=m.history.get(val, []), train=m.history.get(train, []))
        for m in models
        if any(map(isfinite, m.history.get(val, [])))
    ]
    return Drawings(
        ladder=figures.ladder(rungs, score=metric.heading),
        latency=figures.tradeoff(
            [point(row, called, row.latency_ms_p50, dated=True) for row in rows],
            score=metric.heading,
            price="time for one image on one thread",
            number_format=partial(numbers.milliseconds, digits=1),
        ),
        size=figures.tradeoff(
            [point(row, called, row.size_bytes, dated=True) for row in rows],
            score=metric.heading,
            price="size of the model file",
            number_format=partial(numbers.size, digits=1),
        ),
        learning=curves.learning(learned, metric=metric) if learned else "",
        whiskers={row.model: figures.whisker(each, low=low, high=high) for row, each in zip(rows, years, strict=True)},
    )


def point(row: LeaderboardRow, called: Mapping[str, str], x: float, *, dated: bool = False) -> ChartPoint:
    """A model in a chart at `x`; `dated`: its year is told on hover."""
    year = f" ({row.year})" if dated else ""
    hover = (
        f"{called[row.model]}{year}: {numbers.percent(row.score)} "
        f"[{numbers.percent(row.low)} – {numbers.percent(row.high)}], "
        f"{numbers.milliseconds(row.latency_ms_p50)}, {numbers.size(row.size_bytes)}"
    )
    return ChartPoint(
        called[row.model], row.kind, x=x, y=row.score, low=row.low, high=row.high, hover=hover, model=row.model
    )
