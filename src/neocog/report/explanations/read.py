"""Read what the stage `explain` wrote."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.core.errors import UserError


@dataclass(frozen=True)
class Explained:
    """A model, the rows of the test split by kind of answer, and of each method the maps [N, H, W] of these rows in order.

    Maps are 0..1; those of the `signed` methods, which tell what spoke against the answer too, -1..1.
    """

    model: str
    signed: tuple[str, ...]
    rows: dict[str, list[int]]
    maps: dict[str, NDArray[np.floating]]


def read(reports: Path) -> list[Explained]:
    """Every model that was explained; none if `reports` has no explanations. Raises UserError when the files are damaged."""
    folder = reports / "explained"
    if not folder.is_dir():
        return []
    try:
        entries = json.loads((folder / "explained.json").read_text())
        with np.load(folder / "maps.npz") as maps:
            return [
                Explained(
                    one["model"],
                    tuple(one["signed"]),
                    one["rows"],
                    {name: maps[f"{one['model']}/{name}"].astype(np.float32) for name in one["methods"]},
                )
                for one in entries
            ]
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{folder} is damaged ({error!r}); `dvc repro -f explain` makes it again") from None
