"""What the stage audit found, read back: its numbers, and the near duplicates across splits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.evaluation.audit import Twins


@dataclass(frozen=True)
class AuditRecord:
    """What audit.json and duplicates.csv hold.

    `numbers` of `model`, as `evaluation.audit.summary` gives them; `twins`, the nearest pairs first, at most `within` gray levels apart;
    how many `images` with a suspected error and how many `duplicates` are to be shown.
    """

    model: str
    numbers: Mapping[str, float]
    twins: tuple[Twins, ...]
    within: float
    images: int
    duplicates: int


def read(reports: Path, *, called: Mapping[str, str]) -> AuditRecord | None:
    """What the files in reports/audit tell, of the model as it is `called`; None if the stage never ran.

    Raises UserError for damaged files.
    """
    folder = reports / "audit"
    path = folder / "audit.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        model, shown, within = str(content["model"]), content["shown"], float(content["within"])
        images, duplicates = int(shown["images"]), int(shown["duplicates"])
        numbers = {name: float(value) for name, value in content.items() if name not in ("model", "shown", "within")}
        numbers["test_images"], numbers["test_twins"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); `dvc repro --force audit` makes it again") from None
    twins = tuple(csv_table.read_rows(folder / "duplicates.csv", Twins, stage="audit"))
    return AuditRecord(called.get(model, model), numbers, twins, within, images, duplicates)
