"""The report as one HTML page that needs nothing else: drawings, pictures, style and script are inside."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data.prepared import SPLITS, Prepared, Split
from neocog.report import confusion, insides, numbers, pictures, story
from neocog.report.compressed import chapter
from neocog.report.drawings import STYLE, Drawings
from neocog.report.leaderboard import Row
from neocog.report.models import Model
from neocog.report.robustness import chapter as spoilt
from neocog.report.sweeps import section
from neocog.report.sweeps.section import Drawn

FOLDER = Path(__file__).parent
BUDGET = 2_500_000  # bytes of pictures, of the 5 MB that a page may have
FACES = 12  # classes shown by a picture at the top
MIXUPS = 8
SCORES = (  # column, heading, what it says, how it is written, which way is better (0: neither)
    ("top1", "top-1", "share of test images whose class comes first, with its 95 % interval", numbers.percent, 1),
    ("top5", "top-5", "share whose class is among the first five", numbers.percent, 1),
    ("macro_f1", "macro-F1", "F1 of each class, averaged over classes", numbers.percent, 1),
    ("ece", "calib. error", "how far confidence is from accuracy, on average (ECE)", numbers.percent, -1),
    ("params", "weights", "trainable parameters", numbers.count, -1),
    ("macs", "MACs", "multiply-accumulates for one image", numbers.count, -1),
    ("size_bytes", "size", "of the ONNX file", numbers.size, -1),
    ("latency_ms_p50", "latency", "median time for one image on one thread", numbers.milliseconds, -1),
    ("latency_ms_p95", "p95", "95 of 100 images take less time", numbers.milliseconds, -1),
    ("throughput_ips", "images/s", "in batches on one thread", numbers.significant, 1),
    ("train_seconds", "training", "time it took", numbers.duration, 0),
    ("epochs", "epochs", "passes over the training images", str, 0),
)


def html(
    models: Sequence[Model],
    prepared: Prepared,
    drawings: Drawings,
    *,
    called: Mapping[str, str],
    mistakes: int,
    sweeps: Sequence[Drawn] = (),
    compressed: chapter.Drawn | None = None,
    robustness: spoilt.Drawn | None = None,
) -> str:
    """The page about `models` (best first), judged on the test split of `prepared`, with `mistakes` pictures of each, `sweeps`, what was
    `compressed`, and how they bear spoilt images."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    rows = [model.row for model in models]
    scores = [score for score in SCORES if score[0] != "top5" or len(prepared.classes) > 5]  # of five, five are right
    test = prepared.split("test")
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = {model.row.model: model.mistakes(mistakes) for model in models}
    side = pictures.largest_side([test.images[row] for rows in shown.values() for row in rows], budget=BUDGET)
    return environment.get_template("page.html").render(
        style=Markup(STYLE.read_text(encoding="utf-8") + (FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup((FOLDER / "page.js").read_text(encoding="utf-8")),
        draw=Markup,
        drawings=drawings,
        tuning=Markup(section.section(sweeps)),
        compression=Markup(chapter.chapter(compressed)),
        robustness=Markup(spoilt.chapter(robustness)),
        prepared=prepared,
        splits=SPLITS,
        refused=len(prepared.quarantined()),
        headline=story.headline(rows, data=prepared.name, called=called),
        standfirst=story.standfirst(rows, images=len(test.labels), classes=len(prepared.classes), called=called),
        faces=_faces(prepared, test),
        gains=story.gains(rows, called=called),
        coded=_coded,
        rungs=sorted(story.first_of_each(models), key=lambda model: (model.row.year, model.row.model)),
        called=called,
        numbers=numbers,
        scores=scores,
        board=[_line(row, rows, scores) for row in rows],
        unanimous=int(np.logical_and.reduce([model.wrong for model in models]).sum()),
        looks=[_look(model, test, prepared.classes, shown[model.row.model], side=side) for model in models],
        insides=insides.told(models, test, prepared.classes),
        provenance=[_provenance(model, called) for model in models],
    )


def _coded(words: str) -> Any:
    """Plain text as markup, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))


def _line(row: Row, rows: Sequence[Row], scores: Sequence[Any]) -> dict[str, Any]:
    """One row of the table: (raw value, as written, is it the best of its column) a column."""
    cells = []
    for column, _, _, told, better in scores:
        value = getattr(row, column)
        best = (
            bool(better)
            and len(rows) > 1
            and value == max((getattr(r, column) for r in rows), key=lambda v: better * v)
        )
        cells.append(("" if value is None else value, numbers.MISSING if value is None else told(value), best))
    return {"row": row, "cells": cells}


def _faces(prepared: Prepared, test: Split) -> list[tuple[str, str]]:
    """(class, picture): the first test image of each class; of evenly spread classes if there are many."""
    classes = np.unique(
        np.linspace(0, len(prepared.classes) - 1, min(FACES, len(prepared.classes))).round().astype(int)
    )
    first = {label: np.flatnonzero(test.labels == label)[:1] for label in classes}
    return [
        (prepared.classes[label], pictures.png(pictures.shrunk(test.images[row[0]], side=112)))
        for label, row in first.items()
        if len(row)
    ]


def _look(model: Model, test: Split, classes: Sequence[str], mistakes: np.ndarray, *, side: int) -> dict[str, Any]:
    """What the closer look at one model shows."""
    judged, by_class = model.predictions, model.by_class
    f1 = by_class.f1()
    table = zip(classes, by_class.precision(), by_class.recall(), f1, by_class.actual, strict=True)
    return {
        "model": model.row.model,
        "wrong": int(model.wrong.sum()),
        "images": len(judged.labels),
        "mixups": confusion.mixups(model.confusion, classes, most=MIXUPS),
        "classes": [
            line for _, line in sorted(zip(np.nan_to_num(f1, nan=2.0), table, strict=True), key=lambda pair: pair[0])
        ],
        "mistakes": [
            {
                "picture": pictures.png(pictures.shrunk(test.images[row], side=side)),
                "id": str(judged.ids[row]),
                "actual": classes[judged.labels[row]],
                "predicted": classes[judged.predicted[row]],
                "confidence": float(judged.confidence[row]),
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
