"""Results of a sweep: every trial in trials.csv, the choice and why in best.yaml."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from numpy.typing import NDArray

from neocog.core import csv_table
from neocog.statistics.paired import compare_outputs
from neocog.tasks.task import Task
from neocog.tuning.space import Space
from neocog.tuning.sweep import Finalist
from neocog.tuning.trials import Trial

TRIALS, BEST = "trials.csv", "best.yaml"
SURE = 0.05  # largest p-value at which a winner replaces today's settings


def write_trials(folder: Path, found: Sequence[Trial], space: Space, *, metric: str) -> None:
    """One line a trial: trial, status, epochs, seconds, its last metric and loss, then a column for each searched key."""
    loss = "val/loss"
    lines = []
    for trial in found:
        last: Mapping[str, Any] = trial.rows[-1] if trial.rows else {}
        scores = [round(last[key], 6) if key in last else "" for key in (metric, loss)]
        given = [_plain(trial.values.get(key)) for key in space]
        lines.append([trial.number, trial.status, len(trial.rows), round(trial.seconds, 2), *scores, *given])
    csv_table.write(folder / TRIALS, ("trial", "status", "epochs", "seconds", metric, loss, *space), lines)


@dataclass(frozen=True)
class Choice:
    """Whether the best finalist replaces today's settings, and what says so: scores of the bundles on the validation images.

    `difference`, its 95 % interval (`low`, `high`) and the `p_value` compare them on the same images; None where today's settings
    were the best trial, so that nothing was trained in full.
    """

    better: bool
    baseline: float
    score: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


def choose(today: NDArray[Any], ours: NDArray[Any] | None, targets: NDArray[Any], *, task: Task) -> Choice:
    """The choice between today's settings and the best finalist, by their outputs [N, ...] for the val images; None for no finalist."""
    primary, metric = task.metrics.primary, task.primary
    baseline = float(primary(today, targets))
    if ours is None:
        return Choice(False, baseline)
    test = compare_outputs(task.metrics, ours, today, targets)
    better = metric.better * test.difference > 0 and test.p_value < SURE
    return Choice(better, baseline, float(primary(ours, targets)), **asdict(test))


def write_best(
    folder: Path, choice: Choice, winner: Finalist | None, space: Space, *, metric: str, how: Mapping[str, Any]
) -> None:
    """The winner's values, ready for the architecture's block in params.yaml, and the evidence."""
    content = asdict(choice)
    content = {
        "trial": winner.number if winner else 0,
        "values": dict(winner.values) if winner else {},
        "better": content.pop("better"),
        "baseline": {metric: content.pop("baseline")},
        metric: content.pop("score"),
        **content,
        "seeds": [run.values["seed"] for run in winner.runs] if winner else [],
        "scores": list(winner.scores) if winner else [],
        "mean": winner.mean if winner else None,
        "spread": winner.spread if winner else None,
        "space": {key: {dimension.kind: list(dimension.values)} for key, dimension in space.items()},
        **how,
    }
    (folder / BEST).write_text(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False), encoding="utf-8")


def sentence(choice: Choice, winner: Finalist | None, *, trials: int, metric: str) -> str:
    """The outcome in one line."""
    if winner is None or choice.difference is None:
        return f"of {trials} trials none was better than today's settings, which stay ({metric} {choice.baseline:.4f})"
    spread = f" +- {winner.spread:.4f} over {len(winner.runs)} seeds" if winner.spread is not None else ""
    verdict = "so its settings are taken" if choice.better else "which chance could explain, so today's settings stay"
    low, high = 100 * (choice.low or 0), 100 * (choice.high or 0)
    content = f"{100 * choice.difference:+.2f} points, 95 % {low:+.2f} to {high:+.2f}, p = {choice.p_value:.3f}"
    return (
        f"trial {winner.number} of {trials}, trained in full: {metric} {choice.score:.4f}{spread} against {choice.baseline:.4f} "
        f"({content}), {verdict}"
    )


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple) else "" if value is None else value


def metrics(choice: Choice, winner: Finalist | None) -> dict[str, float]:
    """The outcome as numbers for tracking."""
    content = {f"tune/{key}": float(value) for key, value in asdict(choice).items() if value is not None}
    if winner:
        content["tune/mean"] = winner.mean
        content |= {"tune/spread": winner.spread} if winner.spread is not None else {}
    return content
