"""Read what the stage `robustness` wrote: each model's score under each corruption, and its mCE."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path

from neocog.core.errors import UserError
from neocog.evaluation import robustness
from neocog.evaluation.robustness import CLEAN
from neocog.tasks.task import Metric


@dataclass(frozen=True)
class RobustnessScores:
    """`scores` maps a corruption to a model's score at each severity, mildest first; `mce` None: not defined."""

    name: str
    clean: float
    scores: Mapping[str, tuple[float, ...]]
    mce: float | None

    def under(self, corruption: str) -> float:
        """The score under a corruption, averaged over the severities."""
        return sum(self.scores[corruption]) / len(self.scores[corruption])


@dataclass(frozen=True)
class RobustnessFindings:
    """The models by mCE, least first, in a `metric`; how `baseline`, whose mCE is 100, is called; on how many images all were asked."""

    metric: Metric
    models: tuple[RobustnessScores, ...]
    baseline: str
    images: int

    @property
    def corruptions(self) -> list[str]:
        return list(self.models[0].scores)


def read(reports: Path, metric: Metric, *, called: Mapping[str, str]) -> RobustnessFindings | None:
    """What is told of the models in `called`, by the names there; None if the stage never ran. Raises UserError for damaged files."""
    table, scores = reports / "robustness.csv", reports / "robustness.json"
    if not table.is_file():
        return None
    rows = robustness.read(table)
    try:
        content = json.loads(scores.read_text(encoding="utf-8"))
        found = [
            _model(model, name, rows, content["models"][model].get("mce"))
            for model, name in called.items()
            if model in content["models"]
        ]
        baseline = str(content["baseline"])
        order = sorted(found, key=lambda model: (inf if model.mce is None else model.mce, model.name))
        return (
            RobustnessFindings(metric, tuple(order), called.get(baseline, baseline), int(content["images"]))
            if found
            else None
        )
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{scores} is damaged ({error!r}); `dvc repro --force robustness` makes it again") from None


def _model(model: str, name: str, rows: list[robustness.RobustnessScore], mce: float | None) -> RobustnessScores:
    own = sorted((row for row in rows if row.model == model), key=lambda row: row.severity)
    names = dict.fromkeys(row.corruption for row in rows if row.corruption != CLEAN)
    scores = {each: tuple(row.score for row in own if row.corruption == each) for each in names}
    (clean,) = (row.score for row in own if row.corruption == CLEAN)
    return RobustnessScores(name, clean, scores, mce)
