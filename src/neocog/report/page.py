"""The report as one self-contained HTML page: figures, pictures, style and script are inside."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neocog.core.escape import visible
from neocog.data.prepared import SPLITS, Prepared, Split
from neocog.drawing import images, svg
from neocog.report import narrative, provenance, scores
from neocog.report.chapters import Chapter
from neocog.report.differences import differences, repeated
from neocog.report.drawings import Drawings
from neocog.report.figures import KINDS
from neocog.report.leaderboard import LeaderboardRow
from neocog.report.models import JudgedModel, classes_shown
from neocog.report.scores import Score
from neocog.report.tables import TableCell, TableColumn, TableRow, cell
from neocog.report.templates import render

FOLDER = Path(__file__).parent
FACES = 12  # classes shown by a picture at the top
SCRIPTS = ("scheme", "sort", "pick", "filter", "hover", "compare", "page")


def html(
    models: Sequence[JudgedModel],
    prepared: Prepared,
    drawings: Drawings,
    *,
    called: Mapping[str, str],
    chapters: Sequence[Chapter] = (),
) -> str:
    """The page about `models` (best first), judged on the test split of `prepared`, with `chapters` in their order."""
    from markupsafe import Markup

    rows, rungs = [model.row for model in models], narrative.first_of_each(models)
    history = [model.row for model in rungs]
    by_year = sorted(rungs, key=lambda model: (model.row.year, model.row.model))
    by_name = {model.row.model: model for model in models}
    columns = scores.scores(models[0].task, classes=len(prepared.classes))
    shown = [chapter for chapter in chapters if chapter.markup]
    test = prepared.split("test")
    styles = [svg.STYLE, svg.STYLE.with_name("page.css")]
    page = render(
        FOLDER / "page.html",
        style=Markup(
            "".join([*(path.read_text(encoding="utf-8") for path in styles), *(each.style for each in shown)])
        ),
        script=Markup("".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)),
        chapters=shown,
        kinds=[kind for kind in KINDS if any(row.kind == kind for row in rows)],
        made=provenance.chapters(models, prepared, reports=models[0].folder.parents[1]),
        metric=models[0].row.metric,
        drawings=drawings,
        prepared=prepared,
        splits=SPLITS,
        refused=len(prepared.quarantined()),
        headline=narrative.headline(rows, data=prepared.name, called=called),
        standfirst=narrative.standfirst(
            rows, images=len(test.ids), classes=len(prepared.classes), called=called, history=history
        ),
        faces=_faces(prepared, test),
        gains=narrative.gains(
            history, called=called, differ=lambda a, b: by_name[a].against(by_name[b]).p_value < narrative.LEVEL
        ),
        coded=_coded,
        rungs=by_year,
        differences=differences(by_year),
        repeated=repeated(by_year),
        called=called,
        board_columns=_columns(columns, primary=models[0].row.metric.name),
        board=[_line(row, rows, columns) for row in rows],
        counts=_counts(prepared),
        provenance=[_provenance(model, called) for model in models],
    )
    return visible(page)


def _coded(words: str) -> Any:
    """Plain text as markup, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))


def _columns(scores: Sequence[Score], *, primary: str) -> list[TableColumn]:
    """The columns of the leaderboard, sorted by the score named `primary`."""
    found = [
        TableColumn(
            score.heading,
            score.about,
            first="ascending" if score.better < 0 else "descending",
            sorted="descending" if score.column == primary else "",
        )
        for score in scores
    ]
    return [TableColumn("model", look="word"), TableColumn("year"), *found]


def _counts(prepared: Prepared) -> tuple[list[TableColumn], list[TableRow]]:
    """Images of each class in each split, as a table."""
    columns = [TableColumn("class", look="word"), *(TableColumn(split, first="descending") for split in SPLITS)]
    rows = [
        TableRow(
            [TableCell(name, look="word"), *(cell(prepared.counts[split][name], "{:,}".format) for split in SPLITS)]
        )
        for name in prepared.classes
    ]
    return columns, rows


def _line(row: LeaderboardRow, rows: Sequence[LeaderboardRow], columns: Sequence[Score]) -> dict[str, Any]:
    """One row of the leaderboard, with a cell a score; the best of its column is marked."""
    cells = []
    for score in columns:
        value, better = row.value(score.column), score.better
        best = (
            bool(better)
            and len(rows) > 1
            and value == max((r.value(score.column) for r in rows), key=lambda v: better * v)
        )
        cells.append(cell(value, score.write, note=score.note(row), look="best" if best else ""))
    return {"row": row, "cells": cells}


def _faces(prepared: Prepared, test: Split) -> list[tuple[str, str]]:
    """(class, picture): of the test images of each class the first with the fewest others; of evenly spread classes if there are many."""
    spread = np.linspace(0, len(prepared.classes) - 1, min(FACES, len(prepared.classes)))
    shown = classes_shown(prepared, test.targets)
    fewest = sorted(range(len(shown)), key=lambda row: len(shown[row]))
    first = {label: row for row in reversed(fewest) for label in shown[row]}
    return [
        (prepared.classes[label], images.picture(images.shrunk(test.images[first[label]], side=112)))
        for label in np.unique(spread.round().astype(int)).tolist()
        if label in first
    ]


def _provenance(model: JudgedModel, called: Mapping[str, str]) -> dict[str, Any]:
    recorded = model.bundle.card["provenance"]
    return {
        "name": called[model.row.model],
        "params": json.dumps(recorded.get("params", {}), indent=2, ensure_ascii=False),
        "code": recorded.get("code_digest", ""),
        "seed": recorded.get("seed", ""),
        "data": recorded.get("data_digest", ""),
        "libraries": recorded.get("libraries", {}),
        "make": model.makers,
    }
