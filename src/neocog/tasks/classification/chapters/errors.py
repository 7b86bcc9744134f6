"""Chapter "Errors": the confusion matrix of each model, its most confident mistakes as pictures, its scores by class."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data.prepared import Split
from neocog.drawing import images, numbers
from neocog.report import provenance
from neocog.report.chapters import Chapter, Findings
from neocog.report.tables import TableCell, TableColumn, TableRow, cell
from neocog.report.templates import render
from neocog.tasks.classification.chapters import confusion
from neocog.tasks.classification.chapters.judged import JudgedClassifier

BUDGET = 2_500_000  # bytes of pictures, of the 5 MB that a page may have
MIXUPS = 8
COLUMNS = (
    TableColumn("class", look="word"),
    *map(TableColumn, ("precision", "recall")),
    TableColumn("F1", sorted="ascending"),
    TableColumn("images"),
)


def chapter(findings: Findings) -> Chapter:
    """The chapter, with each model's confusion matrix as a figure of its own."""
    models = [JudgedClassifier(model) for model in findings.models]
    prepared, called = findings.prepared, findings.called
    test = prepared.split("test")
    shown = [each.mistakes(findings.mistakes) for each in models]
    side = images.largest_side([test.images[row] for rows in shown for row in rows], budget=BUDGET)
    matrices = {
        each.model.row.model: confusion.heatmap(
            each.confusion, each.model.bundle.classes, name=called[each.model.row.model]
        )
        for each in models
    }
    markup = render(
        Path(__file__).with_name("errors.html"),
        looks=[
            _look(each, test, prepared.classes, rows, side=side, data=prepared.digest)
            for each, rows in zip(models, shown, strict=True)
        ],
        confusion=matrices,
        called=called,
        choices=[(each.model.row.model, called[each.model.row.model]) for each in models],
        columns=COLUMNS,
        unanimous=int(np.logical_and.reduce([each.wrong for each in models]).sum()),
    )
    files = {f"confusion.{model.replace('/', '.')}": drawing for model, drawing in matrices.items()}
    return Chapter("look", "Errors", markup, figures=files, after="inside")


def _look(
    judged: JudgedClassifier, test: Split, classes: Sequence[str], mistakes: np.ndarray, *, side: int, data: str
) -> dict[str, Any]:
    """What the closer look at one model shows."""
    model, answers, by_class = judged.model, judged.predictions, judged.by_class
    table = zip(classes, by_class.precision(), by_class.recall(), by_class.f1(), by_class.actual, strict=True)
    files = ("predictions.parquet", "tables", "counts")
    sources = [provenance.bundled(model.bundle), *provenance.judged(model.bundle, model.folder, *files)]
    return {
        "model": model.row.model,
        "made": provenance.how(sources, data=data),
        "wrong": int(judged.wrong.sum()),
        "images": len(answers.labels),
        "mixups": confusion.mixups(judged.confusion, classes, most=MIXUPS),
        "classes": [_row(*each) for each in sorted(table, key=lambda row: np.nan_to_num(row[3], nan=2.0))],
        "mistakes": [
            {
                "picture": images.picture(images.shrunk(test.images[row], side=side)),
                "id": str(answers.ids[row]),
                "actual": classes[answers.labels[row]],
                "predicted": classes[answers.predicted[row]],
                "confidence": float(judged.confidence[row]),
            }
            for row in mistakes
        ],
    }


def _row(name: str, precision: float, recall: float, f1: float, images: float) -> TableRow:
    scores = [cell(precision, numbers.percent), cell(recall, numbers.percent), cell(f1, numbers.percent, bar=True)]
    return TableRow([TableCell(name, look="word"), *scores, cell(images, "{:,.0f}".format)])
