"""A finished training as the two small files that DVC compares: history.csv and training.json."""

import json
from pathlib import Path

from neocog.core import csv_table
from neocog.training.fit import Fitted


def summary(fitted: Fitted) -> dict[str, float]:
    """`train/seconds`, `train/epochs`, `train/images_per_second`, `train/wait_share`, and `val/...` of the epoch that was kept."""
    kept = fitted.history[fitted.epoch - 1]
    return {
        "train/seconds": round(fitted.seconds, 2),
        "train/epochs": len(fitted.history),
        "train/images_per_second": round(fitted.images_per_second),
        "train/wait_share": round(fitted.wait_share, 4),
        **{name: value for name, value in kept.items() if name.startswith("val/")},
    }


def totals(fitted: Fitted) -> dict[str, float]:
    """What of `summary` no epoch's row has logged."""
    return {name: value for name, value in summary(fitted).items() if name in ("train/seconds", "train/epochs")}


def write(folder: Path, fitted: Fitted) -> None:
    """history.csv has one row an epoch and is the same for equal trainings; what differs from run to run is in training.json."""
    folder.mkdir(parents=True, exist_ok=True)
    csv_table.write_dicts(folder / "history.csv", list(fitted.history[0]), fitted.history)
    (folder / "training.json").write_text(json.dumps(summary(fitted), indent=2) + "\n", encoding="utf-8")
