"""Chapter "Pairwise comparison": all pairs of models, and any two of them side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from neocog.core.escape import visible
from neocog.data.prepared import Prepared
from neocog.report.chapters import Chapter
from neocog.report.compare import figures, gallery
from neocog.report.compare.gallery import Sheet
from neocog.report.compare.pairs import Pairs, compare
from neocog.report.models import JudgedModel, class_names
from neocog.report.scores import Score
from neocog.report.templates import render


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
    triangle = figures.triangle(pairs, names)
    return PairFigures(tuple(models), called, tuple(scores), prepared, pairs, triangle, sheet)


def chapter(drawn: PairFigures | None, *, made: str = "") -> Chapter:
    """The chapter `compare`, empty if there is nothing to compare. `made` is how its figure was made."""
    title = "Pairwise comparison"
    if drawn is None:
        return Chapter("compare", title, "")
    markup = render(
        Path(__file__).with_name("compare.html"),
        counted=drawn.pairs.wins is not None,
        verdict=figures.chance(drawn.pairs, drawn.names),
        triangle=drawn.triangle,
        metric=drawn.models[0].row.metric,
        names=drawn.names,
        picture=drawn.sheet.picture if drawn.sheet else "",
        facts=_safe(_facts(drawn)),
        made=made,
    )
    return Chapter("compare", title, markup, figures=drawn.files)


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
    answers = [model.label_and_confidence(row)[0] for model in drawn.models for row in rows]
    words, places = _unique([*shown, *answers])
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
