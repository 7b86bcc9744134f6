"""What the stage robustness found, read back: each model's top-1 under each corruption, and its mCE."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path

from neocog.core.errors import UserError
from neocog.evaluation import robustness
from neocog.evaluation.robustness import CLEAN


@dataclass(frozen=True)
class Model:
    """`top1` maps a corruption to the share of images that are right at each severity, mildest first; `mce` None: not defined."""

    name: str
    clean: float
    top1: Mapping[str, tuple[float, ...]]
    mce: float | None

    def under(self, corruption: str) -> float:
        """Top-1 under a corruption, averaged over the severities."""
        return sum(self.top1[corruption]) / len(self.top1[corruption])


@dataclass(frozen=True)
class Robustness:
    """The models by mCE, least first; how `baseline`, whose mCE is 100, is called; on how many images all were asked."""

    models: tuple[Model, ...]
    baseline: str
    images: int

    @property
    def corruptions(self) -> list[str]:
        return list(self.models[0].top1)


def read(reports: Path, *, called: Mapping[str, str]) -> Robustness | None:
    """What is told of the models in `called`, by the names there; None if the stage never ran. Raises UserError for damaged files."""
    table, scores = reports / "robustness.csv", reports / "robustness.json"
    if not table.is_file():
        return None
    rows = robustness.read(table)
    try:
        told = json.loads(scores.read_text(encoding="utf-8"))
        found = [
            _model(model, name, rows, told["models"][model].get("mce"))
            for model, name in called.items()
            if model in told["models"]
        ]
        baseline = str(told["baseline"])
        order = sorted(found, key=lambda model: (inf if model.mce is None else model.mce, model.name))
        return Robustness(tuple(order), called.get(baseline, baseline), int(told["images"])) if found else None
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{scores} is damaged ({error!r}); `dvc repro --force robustness` makes it again") from None


def _model(model: str, name: str, rows: list[robustness.Row], mce: float | None) -> Model:
    own = sorted((row for row in rows if row.model == model), key=lambda row: row.severity)
    names = dict.fromkeys(row.corruption for row in rows if row.corruption != CLEAN)
    top1 = {each: tuple(row.score for row in own if row.corruption == each) for each in names}
    (clean,) = (row.score for row in own if row.corruption == CLEAN)
    return Model(name, clean, top1, mce)
