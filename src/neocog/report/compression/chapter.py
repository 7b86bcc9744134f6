"""The page's chapter about compression: what became of each model, its steps, and whether its goals were met."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape

from neocog.compression.chain.point import Point
from neocog.drawing import numbers
from neocog.drawing.svg import tag
from neocog.report.compression import figures, narrative
from neocog.report.compression.recipe import CompressedModel
from neocog.report.compression.verdict import JudgedGoal, RecipeStep
from neocog.report.drawings import point
from neocog.report.models import JudgedModel

INTRODUCTION = (
    "A recipe takes a model that was trained and makes it smaller and faster, step by step. Each arrow leads from a model to "
    "what became of it. The dashed line joins the models that no other beat before anything was compressed, the full one those "
    "that none beats now; models far below the compressed ones are left out."
)
STEPS = "In the tables, {} is of the validation images after each step. The small numbers compare it with the model at the start."


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

    def chart(column: str, price: str, told: Callable[[float], str]) -> str:
        points = {m.row.model: point(m.row, called, float(m.row.value(column) or 0)) for m in models}
        compressed = [(points[r.parent.row.model], points[r.model.row.model]) for r in recipes]
        return figures.moves(
            list(points.values()), compressed, score=models[0].row.metric.heading, price=price, told=told
        )

    return CompressionFigures(
        tuple(recipes),
        called,
        latency=chart("latency_ms_p50", "time for one image on one thread", partial(numbers.milliseconds, digits=1)),
        size=chart("size_bytes", "size of the model file", partial(numbers.size, digits=1)),
    )


def chapter(drawn: CompressionFigures | None, *, made: str = "") -> str:
    """The chapter as markup, with the id `compression`; empty if nothing was compressed. `made` is how its figures were made."""
    if drawn is None:
        return ""
    return tag(
        "section",
        tag("h2", "Compression"),
        tag("p", escape(INTRODUCTION)),
        tag("div", *(tag("figure", each, _caption(made)) for each in (drawn.latency, drawn.size)), class_="pair"),
        tag("p", escape(STEPS.format(drawn.recipes[0].model.row.metric.heading)), class_="note"),
        *(_card(recipe, drawn.called) for recipe in drawn.recipes),
        made,
        id="compression",
    )


def _caption(made: str) -> str:
    return tag("figcaption", made) if made else ""


def _card(recipe: CompressedModel, called: Mapping[str, str]) -> str:
    told = recipe.verdict
    goals = tag("ul", *(_goal(goal) for goal in told.goals), class_="goals") if told.goals else ""
    return tag(
        "section",
        tag("h3", escape(called[recipe.model.row.model])),
        tag("p", escape(narrative.verdict(recipe, called=called)), class_="verdict"),
        tag("p", escape(narrative.outcome(recipe)), class_="verdict"),
        goals,
        tag("div", _table(recipe, called), class_="wide"),
        class_="recipe",
        data_model=recipe.model.row.model,
    )


def _goal(goal: JudgedGoal) -> str:
    look, mark = ("met", "✓") if goal.met else ("missed", "✗") if goal.missed else ("undecided", "?")
    return tag("li", tag("b", mark, aria_hidden="true"), escape(narrative.goal(goal)), class_=look)


def _table(recipe: CompressedModel, called: Mapping[str, str]) -> str:
    before = recipe.verdict.before
    heads = [
        tag("th", head, scope="col") for head in (recipe.model.row.metric.heading, "params", "MACs", "size", "duration")
    ]
    first = tag(
        "tr",
        tag("td", escape(called[recipe.parent.row.model]), class_="word"),
        *_cells(before),
        tag("td", numbers.MISSING),
    )
    rows = [_row(step, number, before) for number, step in enumerate(recipe.verdict.steps, 1)]
    head = tag("tr", tag("th", "step", scope="col", class_="word"), *heads)
    return tag("table", tag("thead", head), tag("tbody", first, *rows), class_="steps")


def _row(step: RecipeStep, number: int, before: Point) -> str:
    settings = narrative.settings(step)
    name = f"{number}. {step.method}" + ("" if step.kept else " (not kept)")
    words = tag("td", escape(name), tag("small", escape(settings)) if settings else "", class_="word")
    took = tag("td", numbers.duration(step.seconds))
    return tag("tr", words, *_cells(step.reached, before), took, **({} if step.kept else {"class_": "dropped"}))


def _cells(point: Point, before: Point | None = None) -> list[str]:
    """Top-1, weights, multiply-accumulates and bytes, and what each is of `before`."""
    told = [
        ("score", numbers.percent(point.score, digits=2)),
        ("params", numbers.count(point.params)),
        ("macs", numbers.count(point.macs)),
        ("size_bytes", numbers.size(point.size_bytes)),
    ]
    return [tag("td", words, _beside(key, point, before)) for key, words in told]


def _beside(key: str, point: Point, before: Point | None) -> str:
    if before is None:
        return ""
    now, then = getattr(point, key), getattr(before, key)
    if key == "score":
        change = round(100 * (now - then), 2)
        sign = "−" if change < 0 else "+" if change else "±"
        return tag("small", f"{sign}{abs(change):.2f}")
    return tag("small", numbers.percent(now / then, digits=0) if then else numbers.MISSING)
