"""Chapter "Detections": the scores of each class, types of errors, and images with right, missed and false boxes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from neocog.data.prepared import Split
from neocog.drawing import images, numbers
from neocog.report import provenance
from neocog.report.chapters import Chapter, Findings
from neocog.report.models import JudgedModel
from neocog.report.tables import TableCell, TableColumn, TableRow, cell
from neocog.report.templates import render
from neocog.tasks.detection import examples
from neocog.tasks.detection.errors import error_types
from neocog.tasks.detection.predictions import Predictions
from neocog.tasks.detection.tables import class_rows

COLUMNS = (
    TableColumn("class", look="word"),
    TableColumn("AP", sorted="ascending"),
    *map(TableColumn, ("AP50", "recall", "objects")),
)
SIDE = 160  # pixels of a picture
GREEN, RED, YELLOW = (40, 200, 80), (230, 50, 50), (250, 210, 40)


def chapter(findings: Findings) -> Chapter:
    """The chapter, a panel for each model."""
    prepared, test = findings.prepared, findings.prepared.split("test")
    each = min(8, max(1, findings.mistakes // 3))
    markup = render(
        Path(__file__).with_name("boxes.html"),
        looks=[_look(model, test, prepared.classes, each=each, data=prepared.digest) for model in findings.models],
        called=findings.called,
        choices=[(model.row.model, findings.called[model.row.model]) for model in findings.models],
        columns=COLUMNS,
    )
    return Chapter("look", "Detections", markup, after="inside")


def _look(model: JudgedModel, test: Split, classes: Sequence[str], *, each: int, data: str) -> dict[str, Any]:
    """What the closer look at one model shows."""
    answers: Predictions = model.predictions
    hits, hit = answers.found
    sources = [
        provenance.bundled(model.bundle),
        *provenance.judged(model.bundle, model.folder, "predictions.parquet", "tables"),
    ]
    kinds = examples.choose(answers, images=each)
    return {
        "model": model.row.model,
        "made": provenance.how(sources, data=data),
        "found": int(hit.sum()),
        "objects": int((answers.targets[..., 4] >= 0).sum()),
        "false": int(((answers.answers[..., 4] > 0) & ~hits).sum()),
        "threshold": answers.threshold,
        "errors": list(error_types(answers.answers, answers.targets).items()),
        "classes": [
            _row(row) for row in sorted(class_rows(answers, classes), key=lambda row: np.nan_to_num(row[1], nan=2.0))
        ],
        "kinds": {
            kind: [_picture(answers, test, classes, row) for row in rows] for kind, rows in kinds.items() if rows
        },
    }


def _row(row: tuple[str, float, float, float, int, int]) -> TableRow:
    name, ap, ap50, recall, objects, _ = row
    cells = [cell(ap, numbers.percent, bar=True), cell(ap50, numbers.percent), cell(recall, numbers.percent)]
    return TableRow([TableCell(name, look="word"), *cells, cell(objects, "{:,}".format)])


def _picture(answers: Predictions, test: Split, classes: Sequence[str], row: int) -> dict[str, Any]:
    """One image with its boxes drawn, and the classes of those found, missed and found falsely."""
    (hits, hit), given, own = answers.found, answers.answers[row], answers.targets[row]
    right, false = given[hits[row]], given[(given[:, 4] > 0) & ~hits[row]]
    missed = own[(own[:, 4] >= 0) & ~hit[row]]
    return {
        "picture": images.png(drawn(test.images[row], ((right, GREEN), (missed, YELLOW), (false, RED)))),
        "id": str(answers.ids[row]),
        "right": [(classes[int(each[5])], float(each[4])) for each in right],
        "missed": [classes[int(each[4])] for each in missed],
        "false": [(classes[int(each[5])], float(each[4])) for each in false],
    }


def drawn(
    image: NDArray[np.uint8], boxes: Sequence[tuple[NDArray[np.floating], tuple[int, int, int]]]
) -> NDArray[np.uint8]:
    """The image uint8 [H, W, C] about `SIDE` pixels large, with each group of boxes [m, 4 or more] in its colour."""
    picture = images.fitted(image, side=max(SIDE, min(2 * SIDE, max(image.shape[:2])))).convert("RGB")
    scale = picture.width / image.shape[1]
    pen = ImageDraw.Draw(picture)
    for rows, colour in boxes:
        for row in rows.astype(float):
            left, top, right, bottom = (row[:4] * scale).tolist()
            pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=2)
    return np.asarray(picture.quantize(64, method=Image.Quantize.FASTOCTREE).convert("RGB"))
