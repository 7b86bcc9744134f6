"""Read what the stage `audit` wrote about labels: suspected errors and their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.report.duplicates import read as audit
from neocog.tasks.classification.audit import IN_SAMPLE, Doubt


@dataclass(frozen=True)
class AuditFindings:
    """`doubts`, the likeliest errors first, are those of `model` about images that it never trained on, `known` those about training
    images; `numbers` as `tasks.classification.audit.summary` gives them."""

    model: str
    doubts: tuple[Doubt, ...]
    known: tuple[Doubt, ...]
    numbers: Mapping[str, float]
    images: int  # suspected errors to be shown


def read(reports: Path, *, called: Mapping[str, str]) -> AuditFindings | None:
    """What the files in reports/audit tell; None if the stage never ran. Raises UserError for damaged files."""
    found = audit.read(reports, called=called)
    if found is None:
        return None
    if "images" not in found.numbers:
        raise UserError(
            f"{reports / 'audit/audit.json'} is damaged (no images); `dvc repro --force audit` makes it again"
        )
    doubts = csv_table.read_rows(reports / "audit" / "labels.csv", Doubt, stage="audit")
    return AuditFindings(
        found.model,
        tuple(doubt for doubt in doubts if doubt.split != IN_SAMPLE),
        tuple(doubt for doubt in doubts if doubt.split == IN_SAMPLE),
        found.numbers,
        found.images,
    )
