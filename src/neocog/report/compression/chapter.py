"""Chapter "Compression": what became of each model, its steps, and whether its goals were met."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from neocog.compression.chain.point import Point
from neocog.drawing import numbers
from neocog.report.chapters import Chapter
from neocog.report.compression import figures, narrative
from neocog.report.compression.recipe import CompressedModel
from neocog.report.compression.verdict import RecipeStep
from neocog.report.drawings import point
from neocog.report.models import JudgedModel
from neocog.report.tables import TableCell, TableColumn, TableRow
from neocog.report.templates import render

COLUMNS = ("params", "MACs", "size", "duration")  # beside the score


@dataclass(frozen=True)
class CompressionFigures:
    """Recipes with the figures about all of them as SVG text; `called` is how each model is named."""

    recipes: tuple[CompressedModel, ...]
    called: Mapping[str, str]
    latency: str
    size: str

    @property
    def files(self) -> dict[str, str]:
        """The figures by the names of their files."""
        return {"compression.latency": self.latency, "compression.size": self.size}


def draw(
    models: Sequence[JudgedModel], recipes: Sequence[CompressedModel], *, called: Mapping[str, str]
) -> CompressionFigures | None:
    """The figures of all `recipes` among all `models`; None if nothing was compressed."""
    if not recipes:
        return None

    def chart(column: str, price: str, number_format: Callable[[float], str]) -> str:
        points = {m.row.model: point(m.row, called, float(m.row.value(column) or 0)) for m in models}
        compressed = [(points[r.parent.row.model], points[r.model.row.model]) for r in recipes]
        return figures.moves(
            list(points.values()),
            compressed,
            score=models[0].row.metric.heading,
            price=price,
            number_format=number_format,
        )

    return CompressionFigures(
        tuple(recipes),
        called,
        latency=chart("latency_ms_p50", "time for one image on one thread", partial(numbers.milliseconds, digits=1)),
        size=chart("size_bytes", "size of the model file", partial(numbers.size, digits=1)),
    )


def chapter(drawn: CompressionFigures | None, *, made: str = "") -> Chapter:
    """The chapter `compression`, empty if nothing was compressed. `made` is how its figures were made."""
    if drawn is None:
        return Chapter("compression", "Compression", "")
    metric, called = drawn.recipes[0].model.row.metric, drawn.called
    markup = render(
        Path(__file__).with_name("compression.html"),
        recipes=drawn.recipes,
        called=called,
        latency=drawn.latency,
        size=drawn.size,
        metric=metric,
        narrative=narrative,
        columns=[TableColumn("step", look="word"), *map(TableColumn, (metric.heading, *COLUMNS))],
        rows=lambda recipe: _rows(recipe, name=called[recipe.parent.row.model]),
        made=made,
    )
    return Chapter("compression", "Compression", markup, figures=drawn.files)


def _rows(recipe: CompressedModel, *, name: str) -> list[TableRow]:
    """The model that the recipe began with, by its `name`, and one row a step."""
    before = recipe.verdict.before
    first = [TableCell(name, look="word"), *_cells(before), TableCell(numbers.MISSING)]
    return [TableRow(first), *(_row(step, number, before) for number, step in enumerate(recipe.verdict.steps, 1))]


def _row(step: RecipeStep, number: int, before: Point) -> TableRow:
    name = f"{number}. {step.method}" + ("" if step.kept else " (not kept)")
    method = TableCell(name, note=narrative.settings(step), look="word")
    duration = TableCell(numbers.duration(step.seconds))
    return TableRow([method, *_cells(step.reached, before), duration], look="" if step.kept else "dropped")


def _cells(point: Point, before: Point | None = None) -> list[TableCell]:
    """Score, weights, multiply-accumulates and bytes, and what each is of `before`."""
    written = {
        "score": numbers.percent(point.score, digits=2),
        "params": numbers.count(point.params),
        "macs": numbers.count(point.macs),
        "size_bytes": numbers.size(point.size_bytes),
    }
    return [TableCell(text, note=_change(key, point, before)) for key, text in written.items()]


def _change(key: str, point: Point, before: Point | None) -> str:
    if before is None:
        return ""
    now, then = getattr(point, key), getattr(before, key)
    if key == "score":
        change = round(100 * (now - then), 2)
        sign = "−" if change < 0 else "+" if change else "±"
        return f"{sign}{abs(change):.2f}"
    return numbers.percent(now / then, digits=0) if then else numbers.MISSING
