"""The page's chapter "Pairwise comparison": all pairs of models, and any two of them side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan
from typing import Any

import numpy as np

from neocog.core.escape import visible
from neocog.data.prepared import Prepared
from neocog.drawing.svg import tag
from neocog.report.compare import figures, gallery
from neocog.report.compare.gallery import Sheet
from neocog.report.compare.pairs import Pairs, compare
from neocog.report.models import JudgedModel, class_names
from neocog.report.scores import Score

INTRODUCTION = (
    "Two models that were asked about the same images can be told apart better than their intervals suggest: "
)
MCNEMAR = "only the images that one gets right and the other wrong say anything (McNemar 1947)."
BOOTSTRAP = "both are scored on the same resampled images (a paired bootstrap, Efron & Tibshirani 1993)."
HOW = (
    "How many points of {} the row is ahead of the column, on the same test images. Blue: beyond chance even though all pairs "
    "are asked. Gray: it may be chance."
)
NEWCOMBE = " The interval of a difference is Newcombe's (1998), at 95 %."


@dataclass(frozen=True)
class PairFigures:
    """All pairs of `models`, best first; `triangle` is SVG text, or empty; `sheet` holds images on which they differ."""

    models: tuple[JudgedModel, ...]
    called: Mapping[str, str]
    scores: tuple[Score, ...]
    prepared: Prepared
    pairs: Pairs
    triangle: str
    sheet: Sheet | None

    @property
    def names(self) -> list[str]:
        return [self.called[model.row.model] for model in self.models]

    @property
    def files(self) -> dict[str, str]:
        """The figures by the names of their files."""
        return {"significance": self.triangle}


def draw(
    models: Sequence[JudgedModel], prepared: Prepared, scores: Sequence[Score], *, called: Mapping[str, str]
) -> PairFigures | None:
    """All pairs of `models` (best first) by their `scores` and images; None if there is only one."""
    if len(models) < 2:
        return None
    pairs = compare(models)
    names = [called[model.row.model] for model in models]
    sheet = None
    if pairs.wins is not None:
        correct = np.stack([np.asarray(model.scores, bool) for model in models])
        sheet = gallery.sheet(prepared.split("test"), gallery.choose(correct, pairs.wins))
    told = figures.triangle(pairs, names)
    return PairFigures(tuple(models), called, tuple(scores), prepared, pairs, told, sheet)


def chapter(drawn: PairFigures | None, *, made: str = "") -> str:
    """The chapter as markup, with the id `compare`; empty if there is nothing to compare. `made` is how its figure was made."""
    if drawn is None:
        return ""
    counted = drawn.pairs.wins is not None
    how = HOW.format(drawn.models[0].row.metric.heading) + (NEWCOMBE if counted else "")
    caption = tag("figcaption", tag("p", escape(how), class_="note"), made)
    figure = tag("figure", tag("div", drawn.triangle, class_="wide"), caption) if drawn.triangle else made
    sheet = drawn.sheet
    picture = tag("img", src=sheet.picture, alt="", id="contested", hidden="hidden") if sheet else ""
    return tag(
        "section",
        tag("h2", "Pairwise comparison"),
        tag("p", escape(INTRODUCTION + (MCNEMAR if counted else BOOTSTRAP))),
        tag("p", escape(figures.chance(drawn.pairs, drawn.names)), class_="verdict"),
        figure,
        _duel(drawn),
        picture,
        tag("script", _safe(_facts(drawn)), type="application/json", id="pairs"),
        id="compare",
    )


def _duel(drawn: PairFigures) -> str:
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


def _facts(drawn: PairFigures) -> dict[str, Any]:
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
        "values": [[_number(row.value(score.column)) for score in drawn.scores] for row in rows],
        "told": [[score.write(row.value(score.column)) for score in drawn.scores] for row in rows],
        "wins": None if pairs.wins is None else pairs.wins.tolist(),
        "difference": [] if pairs.wins is not None else upper(pairs.difference, 6),
        "low": upper(pairs.low, 4),
        "high": upper(pairs.high, 4),
        "p": upper(pairs.p, 3),
        "holm": upper(pairs.holm, 3),
        "comparisons": pairs.comparisons,
        **_sheet(drawn),
    }


def _sheet(drawn: PairFigures) -> dict[str, Any]:
    """The images on which models differ: what they show and what each model said, as places among all such `words`."""
    if drawn.sheet is None:
        return {"words": [], "sheet": None}
    rows = drawn.sheet.rows.tolist()
    first = drawn.models[0].predictions
    shown = class_names(drawn.prepared, first.targets[rows])
    said = [model.said(row)[0] for model in drawn.models for row in rows]
    words, places = _unique([*shown, *said])
    sheet = {
        "columns": gallery.COLUMNS,
        "side": drawn.sheet.side,
        "labels": places[: len(rows)],
        "ids": [visible(str(name)) for name in first.ids[rows]],
        "said": [places[start : start + len(rows)] for start in range(len(rows), len(places), len(rows))],
        "right": [np.asarray(model.scores[rows], int).tolist() for model in drawn.models],
    }
    return {"words": [visible(each) for each in words], "sheet": sheet}


def _number(value: float | None) -> float | None:
    return None if value is None or isnan(value) else round(float(value), 6)


def _safe(facts: dict[str, Any]) -> str:
    """JSON that cannot end the script that holds it."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _unique(names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Words without repetition, and of each word its place among them."""
    once = list(dict.fromkeys(names))
    places = {name: place for place, name in enumerate(once)}
    return once, [places[name] for name in names]
