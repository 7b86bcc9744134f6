"""Columns of the page's leaderboard: heading, description, number format, which way is better."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from neocog.drawing import numbers
from neocog.report.leaderboard import LeaderboardRow
from neocog.tasks.task import Metric, Task


@dataclass(frozen=True)
class Score:
    """A `column` of the leaderboard. `better`: 1 if more is better, -1 if less, 0 if neither; `share`: a fraction, told in percent;
    `below`: what the table writes in small under the value of a row."""

    column: str
    heading: str
    about: str
    number_format: Callable[[Any], str]
    better: int
    below: Callable[[Any], str] = lambda row: ""

    @property
    def share(self) -> bool:
        return self.number_format is numbers.percent

    def write(self, value: float | None) -> str:
        """The value as written, or that there is none."""
        return numbers.MISSING if value is None else self.number_format(value)

    def note(self, row: LeaderboardRow) -> str:
        """What stands below the value; empty where there is no value."""
        return "" if row.value(self.column) is None else self.below(row)


def _interval(row: LeaderboardRow) -> str:
    return f"{numbers.percent(row.low)} – {numbers.percent(row.high)}"


def _p95(row: LeaderboardRow) -> str:
    return f"p95 {numbers.milliseconds(row.latency_ms_p95)}"


def _epochs(row: LeaderboardRow) -> str:
    return "" if row.epochs is None else f"{row.epochs} epoch{'s' * (row.epochs != 1)}"


COSTS = (
    Score("params", "params", "trainable parameters", numbers.count, -1),
    Score("macs", "MACs", "multiply-accumulates for one image", numbers.count, -1),
    Score("size_bytes", "size", "of the ONNX file", numbers.size, -1),
    Score(
        "latency_ms_p50",
        "latency",
        "median time for one image on one thread; 95 of 100 take less than p95",
        numbers.milliseconds,
        -1,
        _p95,
    ),
    Score("throughput_ips", "images/s", "in batches on one thread", numbers.significant, 1),
    Score(
        "train_seconds", "training", "time it took, and passes over the training images", numbers.duration, 0, _epochs
    ),
)


def scores(task: Task, *, classes: int) -> list[Score]:
    """The task's metrics that say something about so many classes, the primary one with its interval, and what a model costs."""
    metrics = [metric for metric in task.metrics.METRICS if classes > metric.classes]
    return [_score(metric, primary=metric == task.primary) for metric in metrics] + list(COSTS)


def _score(metric: Metric, *, primary: bool) -> Score:
    number_format = numbers.percent if metric.fraction else numbers.significant
    score = Score(metric.name, metric.heading, metric.about, number_format, metric.better)
    return replace(score, about=f"{metric.about}, with its 95 % interval", below=_interval) if primary else score
