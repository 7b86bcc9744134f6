"""Which figures a report has: the models' numbers handed to the charts, and each figure as a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path

from neocog.drawing import numbers, svg
from neocog.report import confusion, curves, figures, narrative
from neocog.report.curves import Curve
from neocog.report.figures import Point
from neocog.report.leaderboard import Row
from neocog.report.models import Model


@dataclass(frozen=True)
class Drawings:
    """Every figure as SVG text. `learning` is empty if nothing was trained; `whiskers` and `confusion` are by model."""

    ladder: str
    latency: str
    size: str
    learning: str
    whiskers: dict[str, str]
    confusion: dict[str, str]

    def write(self, folder: Path) -> None:
        """The figures as files of their own in a plain light style: ladder.svg, ..., confusion.trained.resnet.svg."""
        charts = {"ladder": self.ladder, "latency": self.latency, "size": self.size, "learning": self.learning}
        matrices = {f"confusion.{model.replace('/', '.')}": drawing for model, drawing in self.confusion.items()}
        style = svg.resolved(svg.STYLE.read_text(encoding="utf-8"))
        folder.mkdir(parents=True, exist_ok=True)
        for name, drawing in (charts | matrices).items():
            if drawing:
                (folder / f"{name}.svg").write_text(svg.standalone(drawing, style=style), encoding="utf-8")


def draw(models: Sequence[Model], *, called: Mapping[str, str]) -> Drawings:
    """All figures of `models`; `called` is how each is named in them."""
    rows = [model.row for model in models]
    years = [_point(row, called, row.year) for row in rows]
    rungs = [point for point, model in zip(years, models, strict=True) if model in narrative.first_of_each(models)]
    low, high = figures.span(years)
    learned = [
        Curve(called[m.row.model], val=m.history.get("val/top1", []), train=m.history.get("train/top1", []))
        for m in models
        if any(map(isfinite, m.history.get("val/top1", [])))
    ]
    return Drawings(
        ladder=figures.ladder(rungs),
        latency=figures.tradeoff(
            [_point(row, called, row.latency_ms_p50) for row in rows],
            price="time for one image on one thread",
            told=partial(numbers.milliseconds, digits=1),
        ),
        size=figures.tradeoff(
            [_point(row, called, row.size_bytes) for row in rows],
            price="size of the model file",
            told=partial(numbers.size, digits=1),
        ),
        learning=curves.learning(learned) if learned else "",
        whiskers={
            row.model: figures.whisker(point, low=low, high=high) for row, point in zip(rows, years, strict=True)
        },
        confusion={
            m.row.model: confusion.heatmap(m.confusion, m.bundle.classes, name=called[m.row.model]) for m in models
        },
    )


def _point(row: Row, called: Mapping[str, str], x: float) -> Point:
    hover = (
        f"{called[row.model]} ({row.year}): {numbers.percent(row.top1)} "
        f"[{numbers.percent(row.top1_low)} – {numbers.percent(row.top1_high)}], "
        f"{numbers.milliseconds(row.latency_ms_p50)}, {numbers.size(row.size_bytes)}"
    )
    return Point(
        called[row.model], row.kind, x=x, y=row.top1, low=row.top1_low, high=row.top1_high, hover=hover, model=row.model
    )
