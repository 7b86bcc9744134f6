"""The report as one HTML page that needs nothing else: drawings, pictures, style and script are inside."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neocog.core.escape import visible
from neocog.data.prepared import SPLITS, Prepared, Split
from neocog.drawing import images, numbers, svg
from neocog.report import activations, confusion, narrative, provenance, scores
from neocog.report.chapters import Chapter
from neocog.report.drawings import Drawings
from neocog.report.figures import KINDS
from neocog.report.leaderboard import Row
from neocog.report.models import Model
from neocog.report.scores import Score
from neocog.statistics import paired

FOLDER = Path(__file__).parent
BUDGET = 2_500_000  # bytes of pictures, of the 5 MB that a page may have
FACES = 12  # classes shown by a picture at the top
MIXUPS = 8
SCRIPTS = ("scheme", "sort", "pick", "filter", "hover", "compare", "page")


def html(
    models: Sequence[Model],
    prepared: Prepared,
    drawings: Drawings,
    *,
    called: Mapping[str, str],
    mistakes: int,
    chapters: Sequence[Chapter] = (),
) -> str:
    """The page about `models` (best first), judged on the test split of `prepared`, with `mistakes` pictures of each, and `chapters` that
    are ready, in their order between how the models learned and what is inside them."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    rows, rungs = [model.row for model in models], narrative.first_of_each(models)
    history = [model.row for model in rungs]
    columns = scores.scores(classes=len(prepared.classes))
    told = [chapter for chapter in chapters if chapter.markup]
    test = prepared.split("test")
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = {model.row.model: model.mistakes(mistakes) for model in models}
    wrong = {model.row.model: model.wrong for model in models}
    side = images.largest_side([test.images[row] for rows in shown.values() for row in rows], budget=BUDGET)
    page = environment.get_template("page.html").render(
        style=Markup(
            "".join(
                [
                    svg.STYLE.read_text(encoding="utf-8"),
                    svg.STYLE.with_name("page.css").read_text(encoding="utf-8"),
                    *(chapter.style for chapter in told),
                ]
            )
        ),
        script=Markup("".join(_text(f"{name}.js") for name in SCRIPTS)),
        chapters=told,
        kinds=[kind for kind in KINDS if any(row.kind == kind for row in rows)],
        made=provenance.chapters(models, prepared, reports=models[0].folder.parents[1]),
        draw=Markup,
        drawings=drawings,
        prepared=prepared,
        splits=SPLITS,
        refused=len(prepared.quarantined()),
        headline=narrative.headline(rows, data=prepared.name, called=called),
        standfirst=narrative.standfirst(
            rows, images=len(test.targets), classes=len(prepared.classes), called=called, history=history
        ),
        faces=_faces(prepared, test),
        gains=narrative.gains(history, called=called, differ=lambda a, b: paired.differ(wrong[a], wrong[b])),
        coded=_coded,
        rungs=sorted(rungs, key=lambda model: (model.row.year, model.row.model)),
        called=called,
        numbers=numbers,
        scores=columns,
        board=[_line(row, rows, columns) for row in rows],
        unanimous=int(np.logical_and.reduce([model.wrong for model in models]).sum()),
        looks=[
            _look(model, test, prepared.classes, shown[model.row.model], side=side, data=prepared.digest)
            for model in models
        ],
        insides=activations.told(models, test, prepared.classes),
        provenance=[_provenance(model, called) for model in models],
    )
    return visible(page)


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _coded(words: str) -> Any:
    """Plain text as markup, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))


def _line(row: Row, rows: Sequence[Row], columns: Sequence[Score]) -> dict[str, Any]:
    """One row of the table: (raw value, as written, is it the best of its column, what stands below) a column."""
    cells = []
    for score in columns:
        value, better = getattr(row, score.column), score.better
        best = (
            bool(better)
            and len(rows) > 1
            and value == max((getattr(r, score.column) for r in rows), key=lambda v: better * v)
        )
        cells.append(("" if value is None else value, score.write(value), best, score.note(row)))
    return {"row": row, "cells": cells}


def _faces(prepared: Prepared, test: Split) -> list[tuple[str, str]]:
    """(class, picture): the first test image of each class; of evenly spread classes if there are many."""
    classes = np.unique(
        np.linspace(0, len(prepared.classes) - 1, min(FACES, len(prepared.classes))).round().astype(int)
    )
    first = {label: np.flatnonzero(test.targets == label)[:1] for label in classes}
    return [
        (prepared.classes[label], images.png(images.shrunk(test.images[row[0]], side=112)))
        for label, row in first.items()
        if len(row)
    ]


def _look(
    model: Model, test: Split, classes: Sequence[str], mistakes: np.ndarray, *, side: int, data: str
) -> dict[str, Any]:
    """What the closer look at one model shows."""
    judged, by_class = model.predictions, model.by_class
    f1 = by_class.f1()
    table = zip(classes, by_class.precision(), by_class.recall(), f1, by_class.actual, strict=True)
    return {
        "model": model.row.model,
        "made": provenance.how(
            [
                provenance.bundled(model.bundle),
                *provenance.judged(model.bundle, model.folder, "predictions.parquet", "per_class.csv", "confusion.csv"),
            ],
            data=data,
        ),
        "wrong": int(model.wrong.sum()),
        "images": len(judged.labels),
        "mixups": confusion.mixups(model.confusion, classes, most=MIXUPS),
        "classes": [
            line for _, line in sorted(zip(np.nan_to_num(f1, nan=2.0), table, strict=True), key=lambda pair: pair[0])
        ],
        "mistakes": [
            {
                "picture": images.png(images.shrunk(test.images[row], side=side)),
                "id": str(judged.ids[row]),
                "actual": classes[judged.labels[row]],
                "predicted": classes[judged.predicted[row]],
                "confidence": float(model.confidence[row]),
            }
            for row in mistakes
        ],
    }


def _provenance(model: Model, called: Mapping[str, str]) -> dict[str, Any]:
    told = model.bundle.card["provenance"]
    return {
        "name": called[model.row.model],
        "params": json.dumps(told.get("params", {}), indent=2, ensure_ascii=False),
        "code": told.get("code_digest", ""),
        "seed": told.get("seed", ""),
        "data": told.get("data_digest", ""),
        "libraries": told.get("libraries", {}),
        "make": model.makers,
    }
