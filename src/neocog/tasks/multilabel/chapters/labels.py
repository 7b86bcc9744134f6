"""Chapter "Labels": the scores and the threshold of each label, and images with right, missed and false labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data.prepared import Split
from neocog.drawing import images, numbers
from neocog.report import provenance
from neocog.report.chapters import Chapter, Findings
from neocog.report.models import JudgedModel
from neocog.report.tables import TableCell, TableColumn, TableRow, cell
from neocog.report.templates import render
from neocog.tasks.multilabel import examples
from neocog.tasks.multilabel.average_precision import Ranking
from neocog.tasks.multilabel.f1 import counts
from neocog.tasks.multilabel.predictions import Predictions

COLUMNS = (
    TableColumn("label", look="word"),
    TableColumn("average precision", sorted="ascending"),
    *map(TableColumn, ("F1", "threshold", "images")),
)
BUDGET = 2_500_000  # bytes of pictures, of the 5 MB that a page may have


def chapter(findings: Findings) -> Chapter:
    """The chapter, a panel for each model."""
    prepared, test = findings.prepared, findings.prepared.split("test")
    each = max(1, findings.mistakes // 3)
    shown = [examples.choose(model.predictions, images=each) for model in findings.models]
    every = [test.images[row] for kinds in shown for rows in kinds.values() for row in rows]
    side = images.largest_side(every, budget=BUDGET)
    markup = render(
        Path(__file__).with_name("labels.html"),
        looks=[
            _look(model, test, prepared.classes, kinds, side=side, data=prepared.digest)
            for model, kinds in zip(findings.models, shown, strict=True)
        ],
        called=findings.called,
        choices=[(model.row.model, findings.called[model.row.model]) for model in findings.models],
        columns=COLUMNS,
    )
    return Chapter("look", "Labels", markup, after="inside")


def _look(
    model: JudgedModel, test: Split, classes: Sequence[str], kinds: dict[str, list[int]], *, side: int, data: str
) -> dict[str, Any]:
    """What the closer look at one model shows."""
    answers: Predictions = model.predictions
    of = counts(answers.targets, answers.given)
    ranked = Ranking.of(answers.probabilities, answers.targets).average_precision()
    scores = zip(classes, ranked, of.f1(), model.bundle.card["thresholds"], of.actual, strict=True)
    sources = [
        provenance.bundled(model.bundle),
        *provenance.judged(model.bundle, model.folder, "predictions.parquet", "tables"),
    ]
    return {
        "model": model.row.model,
        "made": provenance.how(sources, data=data),
        "right": int(answers.correct.sum()),
        "images": len(answers.ids),
        "labels": [_row(*each) for each in sorted(scores, key=lambda row: np.nan_to_num(row[1], nan=2.0))],
        "kinds": {
            kind: [_picture(answers, test, classes, row, side=side) for row in rows]
            for kind, rows in kinds.items()
            if rows
        },
    }


def _row(name: str, ranked: float, f1: float, threshold: float, images: float) -> TableRow:
    cells = [cell(ranked, numbers.percent, bar=True), cell(f1, numbers.percent)]
    cells += [cell(threshold, "{:.2f}".format), cell(images, "{:,.0f}".format)]
    return TableRow([TableCell(name, look="word"), *cells])


def _picture(answers: Predictions, test: Split, classes: Sequence[str], row: int, *, side: int) -> dict[str, Any]:
    """One image with its labels: those given rightly, missed and given falsely, each with its probability."""
    targets, given, says = answers.targets[row], answers.given[row], answers.probabilities[row]

    def named(which: np.ndarray) -> list[tuple[str, float]]:
        return [(classes[label], float(says[label])) for label in np.flatnonzero(which).tolist()]

    return {
        "picture": images.picture(images.shrunk(test.images[row], side=side)),
        "id": str(answers.ids[row]),
        "right": named(targets & given),
        "missed": named(targets & ~given),
        "false": named(given & ~targets),
    }
