"""What the stage audit found, read back: suspected label errors, twins across splits, and the numbers of both."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.evaluation.audit import Twins
from neocog.tasks.classification.audit import IN_SAMPLE, Doubt


@dataclass(frozen=True)
class AuditFindings:
    """`doubts`, the likeliest errors first, are those of `model` about images that it never trained on, `known` those about training
    images; `twins` the nearest pairs first, at most `within` gray levels apart; `numbers` as `evaluation.audit.summary` gives them."""

    model: str
    doubts: tuple[Doubt, ...]
    known: tuple[Doubt, ...]
    twins: tuple[Twins, ...]
    numbers: Mapping[str, float]
    within: float
    images: int  # suspected errors to be shown
    duplicates: int  # pairs to be shown


def read(reports: Path, *, called: Mapping[str, str]) -> AuditFindings | None:
    """What the files in reports/audit tell; None if the stage never ran. Raises UserError for damaged files."""
    folder = reports / "audit"
    path = folder / "audit.json"
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        model, shown, within = str(told["model"]), told["shown"], float(told["within"])
        images, duplicates = int(shown["images"]), int(shown["duplicates"])
        numbers = {name: float(value) for name, value in told.items() if name not in ("model", "shown", "within")}
        numbers["images"], numbers["test_images"], numbers["test_twins"], numbers["top1"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); `dvc repro --force audit` makes it again") from None
    doubts = csv_table.read_rows(folder / "labels.csv", Doubt, stage="audit")
    return AuditFindings(
        called.get(model, model),
        tuple(doubt for doubt in doubts if doubt.split != IN_SAMPLE),
        tuple(doubt for doubt in doubts if doubt.split == IN_SAMPLE),
        tuple(csv_table.read_rows(folder / "duplicates.csv", Twins, stage="audit")),
        numbers,
        within,
        images,
        duplicates,
    )
