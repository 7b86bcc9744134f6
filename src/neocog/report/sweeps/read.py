"""Read a sweep from its bundle's folder: every trial, and the verdict on the best of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.drawing import numbers
from neocog.tasks.task import Metric
from neocog.tuning.space import Dimension, Kind

FIXED = (
    "trial",
    "status",
    "epochs",
    "seconds",
    "val/loss",
)  # columns of trials.csv beside the metric's; the others are keys
DEFAULTS = 0  # the trial that has today's settings
LISTED = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class SweepTrial:
    """One trial; `score` and `loss` are of its last epoch, None before its first; `values` lacks what is absent."""

    number: int
    status: str
    epochs: int
    seconds: float
    score: float | None
    loss: float | None
    values: Mapping[str, Any]

    @property
    def description(self) -> str:
        """All of it in a line."""
        score = "no epoch" if self.score is None else numbers.percent(self.score)
        settings = ", ".join(f"{key} {written(value)}" for key, value in self.values.items())
        ran = f"{self.epochs} epoch{'s' * (self.epochs != 1)}, {numbers.duration(self.seconds)}"
        return f"trial {self.number}, {self.status}: {score}, {ran}; {settings}"


@dataclass(frozen=True)
class SweepVerdict:
    """What became of the best trial when it was trained in full, beside today's settings (`baseline`), on the validation images.

    `spread` is the standard deviation of its score over `seeds`; `difference`, its 95 % interval and the p-value are paired by image.
    What is None was not measured: all of it where today's settings were the best trial.
    """

    trial: int
    values: Mapping[str, Any]
    seeds: int
    score: float | None
    spread: float | None
    baseline: float
    better: bool
    p_value: float | None
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Sweep:
    """The trials of one architecture in order, the space they were drawn from, in the order of the columns, and the verdict.

    `metric` is the one by which trials are compared, on the validation images.
    """

    name: str
    metric: Metric
    trials: tuple[SweepTrial, ...]
    space: Mapping[str, Dimension]
    verdict: SweepVerdict
    searcher: str
    scheduler: str

    @property
    def scored(self) -> list[SweepTrial]:
        """The trials that ended an epoch."""
        return [trial for trial in self.trials if trial.score is not None]


def read(folder: Path, metric: Metric) -> Sweep:
    """The sweep in a tuned bundle's folder, its trials compared by a `metric`.

    Raises UserError, naming the stage to run, when a file is missing or damaged.
    """
    trials, best = folder / "trials.csv", folder / "best.yaml"
    for path in (trials, best):
        if not path.is_file():
            raise UserError(f"{path} is missing; `dvc repro tune@{folder.name}` makes it")
    path = trials
    try:
        lines = list(csv_table.read(trials))
        found = tuple(_trial(line, f"val/{metric.name}") for line in lines)
        keys = [column for line in lines[:1] for column in line if column not in (*FIXED, f"val/{metric.name}")]
        path = best
        content = yaml.safe_load(best.read_text(encoding="utf-8"))
        if content["trial"] not in [trial.number for trial in found]:
            raise ValueError(f"trials.csv has no trial {content['trial']}")
        space = {key: _dimension(content["space"][key]) for key in keys}
        return Sweep(
            folder.name,
            metric,
            found,
            space,
            _verdict(content, f"val/{metric.name}"),
            content["searcher"],
            content["scheduler"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path} is damaged ({said}); `dvc repro --force tune@{folder.name}` makes it again") from None


def written(value: Any) -> str:
    """A setting as params.yaml would have it, numbers to three digits: `0.31`, `1e-4`, `sgd`, `[32, 64]`."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")
    return json.dumps(value)


def _trial(line: Mapping[str, str], scored: str) -> SweepTrial:
    if line["status"] not in LISTED:
        raise ValueError(f"trial {line['trial']}: status (={line['status']}) is none of {', '.join(LISTED)}")
    return SweepTrial(
        number=int(line["trial"]),
        status=line["status"],
        epochs=int(line["epochs"] or 0),
        seconds=float(line["seconds"] or 0),
        score=_score(line[scored]),
        loss=_score(line["val/loss"]),
        values={key: _value(cell) for key, cell in line.items() if key not in (*FIXED, scored) and cell != ""},
    )


def _score(cell: str) -> float | None:
    return float(cell) if cell and isfinite(float(cell)) else None


def _value(cell: str) -> Any:
    if cell in ("True", "False"):
        return cell == "True"
    try:
        return json.loads(cell)
    except json.JSONDecodeError:
        return cell


def _dimension(spec: Mapping[Kind, Any]) -> Dimension:
    ((kind, values),) = spec.items()
    return Dimension(kind, tuple(values))


def _verdict(content: Mapping[str, Any], scored: str) -> SweepVerdict:
    return SweepVerdict(
        trial=content["trial"],
        values=content["values"],
        seeds=len(content["seeds"]),
        score=content.get(scored),
        spread=content.get("spread"),
        baseline=content["baseline"][scored],
        better=content["better"],
        p_value=content.get("p_value"),
        difference=content.get("difference"),
        low=content.get("low"),
        high=content.get("high"),
    )
