"""Chapter "Masks": the scores of each class, and images with their right mask and the one given side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from neocog.data.prepared import Split
from neocog.drawing import images, numbers
from neocog.report import provenance
from neocog.report.chapters import Chapter, Findings
from neocog.report.models import JudgedModel
from neocog.report.tables import TableCell, TableColumn, TableRow, cell
from neocog.report.templates import render
from neocog.tasks.segmentation import IGNORED, examples
from neocog.tasks.segmentation.predictions import Predictions
from neocog.tasks.segmentation.tables import class_rows

COLUMNS = (
    TableColumn("class", look="word"),
    TableColumn("IoU", sorted="ascending"),
    *map(TableColumn, ("Dice", "precision", "recall", "boundary F", "images")),
)
SIDE = 128  # pixels of each of the three pictures
PAINT = 0.6  # share of the class's colour in a picture
BACKGROUND = "background"  # a class of that name is left as it is
COLOURS = (np.array(colormaps["tab20"]([*range(0, 20, 2), *range(1, 20, 2)]))[:, :3] * 255).round().astype(np.uint8)
WHITE = (255, 255, 255)


def chapter(findings: Findings) -> Chapter:
    """The chapter, a panel for each model."""
    prepared, test = findings.prepared, findings.prepared.split("test")
    each = min(6, max(1, findings.mistakes // 4))
    markup = render(
        Path(__file__).with_name("masks.html"),
        looks=[_look(model, test, prepared.classes, each=each, data=prepared.digest) for model in findings.models],
        called=findings.called,
        choices=[(model.row.model, findings.called[model.row.model]) for model in findings.models],
        columns=COLUMNS,
    )
    return Chapter("look", "Masks", markup, after="inside")


def _look(model: JudgedModel, test: Split, classes: Sequence[str], *, each: int, data: str) -> dict[str, Any]:
    """What the closer look at one model shows."""
    answers: Predictions = model.predictions
    sources = [
        provenance.bundled(model.bundle),
        *provenance.judged(model.bundle, model.folder, "predictions.parquet", "tables"),
    ]
    rows = sorted(class_rows(answers, classes), key=lambda row: np.nan_to_num(row[1], nan=2.0))
    return {
        "model": model.row.model,
        "made": provenance.how(sources, data=data),
        "worst": rows[0][0],
        "classes": [_row(row) for row in rows],
        "kinds": {
            kind: [_picture(answers, test, classes, row) for row in those]
            for kind, those in examples.choose(answers, images=each).items()
            if those
        },
    }


def _row(row: tuple[str, float, float, float, float, float, int, int]) -> TableRow:
    name, iou, *others, _, shown = row
    cells = [cell(iou, numbers.percent, bar=True), *(cell(value, numbers.percent) for value in others)]
    return TableRow([TableCell(name, look="word"), *cells, cell(shown, "{:,}".format)])


def _picture(answers: Predictions, test: Split, classes: Sequence[str], row: int) -> dict[str, Any]:
    """One image, its right mask and the one given, in one picture; and the colours of the classes that occur."""
    own, given = answers.targets[row], answers.outputs[row]
    shown = np.union1d(own, given).tolist()
    return {
        "picture": images.png(side_by_side(test.images[row], (own, given), classes)),
        "id": str(answers.ids[row]),
        "iou": float(answers.scores[row]),
        "classes": [
            (classes[label], f"#{COLOURS[label % len(COLOURS)].tobytes().hex()}")
            for label in shown
            if label != IGNORED and classes[label] != BACKGROUND
        ],
    }


def side_by_side(
    image: NDArray[np.uint8], masks: Sequence[NDArray[np.uint8]], classes: Sequence[str]
) -> NDArray[np.uint8]:
    """The image uint8 [H, W, C], and it again with each mask painted over it, from left to right, uint8 [h, w, 3]."""
    plain = np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.float32)
    parts = [plain]
    for mask in masks:
        colours = np.concatenate([COLOURS[np.arange(len(classes)) % len(COLOURS)], [WHITE]]).astype(np.float32)
        labels = np.where(mask == IGNORED, len(classes), mask)
        share = np.full(len(classes) + 1, PAINT, np.float32)
        share[[place for place, name in enumerate(classes) if name == BACKGROUND]] = 0
        parts.append(plain + share[labels][..., None] * (colours[labels] - plain))
    drawn = [images.fitted(part.round().astype(np.uint8), side=SIDE) for part in parts]
    gap = np.full((drawn[0].height, 2, 3), WHITE, np.uint8)
    whole = np.concatenate(
        [np.asarray(drawn[0]), *(part for each in drawn[1:] for part in (gap, np.asarray(each)))], axis=1
    )
    return np.asarray(Image.fromarray(whole).quantize(64, method=Image.Quantize.FASTOCTREE).convert("RGB"))
