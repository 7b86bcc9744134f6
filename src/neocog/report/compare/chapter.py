"""The page's chapter "Pairwise comparison": all pairs of models, and any two of them side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from neocog.core.escape import visible
from neocog.data.prepared import Prepared
from neocog.drawing import svg
from neocog.drawing.svg import tag
from neocog.report.compare import figures, gallery
from neocog.report.compare.gallery import Sheet
from neocog.report.compare.pairs import Pairs, compare
from neocog.report.models import Model
from neocog.report.scores import Score

INTRODUCTION = (
    "Two models that were asked about the same images can be told apart better than their intervals suggest: only the images that one gets "
    "right and the other wrong say anything (McNemar 1947)."
)
HOW = (
    "How many points of top-1 the row is ahead of the column, on the same test images. Blue: beyond chance even though all pairs "
    "are asked. Gray: it may be chance. The interval of a difference is Newcombe's (1998), at 95 %."
)


@dataclass(frozen=True)
class Drawn:
    """All pairs of `models`, best first; `triangle` is SVG text, or empty; `sheet` holds images on which they differ."""

    models: tuple[Model, ...]
    called: Mapping[str, str]
    scores: tuple[Score, ...]
    classes: tuple[str, ...]
    pairs: Pairs
    triangle: str
    sheet: Sheet | None

    @property
    def names(self) -> list[str]:
        return [self.called[model.row.model] for model in self.models]

    def write(self, folder: Path) -> None:
        """The triangle as a file of its own in a plain light style: significance.svg."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.triangle:
            style = svg.resolved(svg.STYLE.read_text(encoding="utf-8"))
            (folder / "significance.svg").write_text(svg.standalone(self.triangle, style=style), encoding="utf-8")


def draw(
    models: Sequence[Model], prepared: Prepared, scores: Sequence[Score], *, called: Mapping[str, str]
) -> Drawn | None:
    """All pairs of `models` (best first) by their `scores` and images; None if there is only one."""
    if len(models) < 2:
        return None
    correct = np.stack([~model.wrong for model in models])
    pairs = compare(correct)
    names = [called[model.row.model] for model in models]
    sheet = gallery.sheet(prepared.split("test"), gallery.choose(correct, pairs.wins))
    told = figures.triangle(pairs, names)
    return Drawn(tuple(models), called, tuple(scores), tuple(prepared.classes), pairs, told, sheet)


def chapter(drawn: Drawn | None, *, made: str = "") -> str:
    """The chapter as markup, with the id `compare`; empty if there is nothing to compare. `made` is how its figure was made."""
    if drawn is None:
        return ""
    caption = tag("figcaption", tag("p", escape(HOW), class_="note"), made)
    figure = tag("figure", tag("div", drawn.triangle, class_="wide"), caption) if drawn.triangle else made
    sheet = drawn.sheet
    picture = tag("img", src=sheet.picture, alt="", id="contested", hidden="hidden") if sheet else ""
    return tag(
        "section",
        tag("h2", "Pairwise comparison"),
        tag("p", escape(INTRODUCTION)),
        tag("p", escape(figures.chance(drawn.pairs, drawn.names)), class_="verdict"),
        figure,
        _duel(drawn),
        picture,
        tag("script", _safe(_facts(drawn)), type="application/json", id="pairs"),
        id="compare",
    )


def _duel(drawn: Drawn) -> str:
    """The form that the script fills; without a script it stays hidden."""
    selects = []
    for i, which in enumerate(("one", "other")):
        options = [
            tag("option", escape(name), value=number, **({"selected": "selected"} if number == i else {}))
            for number, name in enumerate(drawn.names)
        ]
        label = tag("label", "Model" if which == "one" else "against", for_=f"duel-{which}")
        selects.append(label + tag("select", *options, id=f"duel-{which}"))
    head = tag("tr", "<th></th>", tag("th", scope="col"), tag("th", scope="col"), tag("th", "difference", scope="col"))
    return tag(
        "div",
        tag("h3", "Compare two models"),
        tag("div", *selects, class_="duelists"),
        tag("p", " ", class_="verdict", aria_live="polite"),
        tag(
            "div",
            tag("div", tag("table", tag("thead", head), "<tbody></tbody>", class_="sides-by-side"), class_="wide"),
            tag("div", *(tag("div", tag("h3", " "), tag("ul", " ", class_="tiles"), class_="only") for _ in range(2))),
            class_="pair",
        ),
        class_="any-two",
        hidden="hidden",
    )


def _facts(drawn: Drawn) -> dict[str, Any]:
    """What the script needs. Of intervals and p-values only those of a row against a later column."""
    rows = [model.row for model in drawn.models]
    pairs = drawn.pairs

    def upper(values: np.ndarray, digits: int) -> list[list[float]]:
        return [[float(f"{value:.{digits}g}") for value in line[i + 1 :]] for i, line in enumerate(values)]

    return {
        "models": [row.model for row in rows],
        "names": drawn.names,
        "images": pairs.images,
        "scores": [[score.heading, score.better, int(score.share)] for score in drawn.scores],
        "values": [[_number(getattr(row, score.column)) for score in drawn.scores] for row in rows],
        "told": [[score.write(getattr(row, score.column)) for score in drawn.scores] for row in rows],
        "wins": pairs.wins.tolist(),
        "low": upper(pairs.low, 4),
        "high": upper(pairs.high, 4),
        "p": upper(pairs.p, 3),
        "holm": upper(pairs.holm, 3),
        "comparisons": pairs.comparisons,
        "classes": [visible(name) for name in drawn.classes],
        "sheet": _sheet(drawn),
    }


def _sheet(drawn: Drawn) -> dict[str, Any] | None:
    if drawn.sheet is None:
        return None
    rows = drawn.sheet.rows
    first = drawn.models[0].predictions
    return {
        "columns": gallery.COLUMNS,
        "side": drawn.sheet.side,
        "labels": first.labels[rows].tolist(),
        "ids": [visible(str(name)) for name in first.ids[rows]],
        "said": [model.predictions.predicted[rows].tolist() for model in drawn.models],
    }


def _number(value: float | None) -> float | None:
    return None if value is None or isnan(value) else round(float(value), 6)


def _safe(facts: dict[str, Any]) -> str:
    """JSON that cannot end the script that holds it."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
