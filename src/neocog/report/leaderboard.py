"""Leaderboard: one row a model with scores, size, speed and training time. CSV for programs, Markdown for people."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neocog import architectures
from neocog.bundle.read import Bundle
from neocog.core import csv_table
from neocog.core.escape import visible
from neocog.drawing import numbers
from neocog.report.compression import verdict
from neocog.tasks.task import Metric, Task, task

BEFORE = ("model", "kind", "architecture", "year")  # columns, with those of the task's metrics between
AFTER = (
    "params",
    "macs",
    "size_bytes",
    "latency_ms_p50",
    "latency_ms_p95",
    "throughput_ips",
    "train_seconds",
    "epochs",
    "verdict",
)


@dataclass(frozen=True)
class LeaderboardRow:
    """A model on the leaderboard. Latencies are milliseconds; training seconds and epochs None where nothing was trained.

    `scores`: on the test images, by the names of `columns`; `metric`: the one of them by which models are ranked. `verdict` says of a
    compressed model with goals whether it has `met` or `missed` them; empty for others. `network` is the published network (`resnet18`)
    where `model` has only the name of its architecture; empty for the small form.
    """

    model: str
    kind: str
    architecture: str
    year: int
    metric: Metric
    scores: Mapping[str, float]
    params: int
    macs: int
    size_bytes: int
    latency_ms_p50: float
    latency_ms_p95: float
    throughput_ips: float
    train_seconds: float | None
    epochs: int | None
    verdict: str = ""
    network: str = ""

    @property
    def name(self) -> str:
        """The part of `model` after its kind."""
        return self.model.partition("/")[2]

    @property
    def score(self) -> float:
        """The metric by which models are ranked."""
        return self.scores[self.metric.name]

    @property
    def low(self) -> float:
        """The lower end of its 95 % interval."""
        return self.scores[f"{self.metric.name}_low"]

    @property
    def high(self) -> float:
        """The upper end of its 95 % interval."""
        return self.scores[f"{self.metric.name}_high"]

    def value(self, column: str) -> Any:
        """What stands in a column; None where nothing does."""
        return self.scores[column] if column in self.scores else getattr(self, column, None)


def row(
    bundle: Bundle, *, metrics: Mapping[str, float], benchmark: Mapping[str, str], training: Mapping[str, float]
) -> LeaderboardRow:
    """Join what is known of one bundle. Raises KeyError for the first thing missing; `training` may be empty."""
    judged = task(bundle.task)
    scores = {name: metrics[f"test/{name}"] for name in measured(judged)}
    return LeaderboardRow(
        model=bundle.model,
        kind=bundle.kind,
        architecture=bundle.architecture,
        year=bundle.card["year"],
        metric=judged.primary,
        scores=scores | {name: metrics[f"test/{name}"] for name in seeds(judged) if f"test/{name}" in metrics},
        params=int(benchmark["params"]),
        macs=int(benchmark["macs"]),
        size_bytes=int(benchmark["size_bytes"]),
        latency_ms_p50=float(benchmark["latency_ms_p50"]),
        latency_ms_p95=float(benchmark["latency_ms_p95"]),
        throughput_ips=float(benchmark["throughput_ips"]),
        train_seconds=float(training["train/seconds"]) if training else None,
        epochs=int(training["train/epochs"]) if training else None,
        verdict=_verdict(bundle),
        network=published(bundle) if bundle.name == bundle.architecture and bundle.kind != "compressed" else "",
    )


def published(bundle: Bundle) -> str:
    """The published network that a bundle is, by the name of its form or in timm; empty for the small form."""
    sizes = bundle.card["build"].get("sizes", {})
    form = sizes.get("form", architectures.SMALL)
    return form if form != architectures.SMALL else str(sizes.get("model", "")) if bundle.architecture == "timm" else ""


def measured(of: Task) -> tuple[str, ...]:
    """The columns of a task's metrics: the primary one with the ends of its interval, then the others."""
    names = [metric.name for metric in of.metrics.METRICS]
    first = of.primary.name
    return (first, f"{first}_low", f"{first}_high", *(name for name in names if name != first))


def seeds(of: Task) -> tuple[str, str]:
    """The columns of a model that was trained with several seeds."""
    return f"{of.primary.name}_mean", f"{of.primary.name}_std"


def columns(rows: Sequence[LeaderboardRow], of: Task) -> tuple[str, ...]:
    """The columns of a leaderboard; those of several seeds where a model has them."""
    several = any(name in row.scores for row in rows for name in seeds(of))
    return (*BEFORE, *measured(of), *AFTER, *(seeds(of) if several else ()))


def ranked(rows: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    """Best first; the faster one first where that is equal, then by name."""
    return sorted(rows, key=lambda row: (-row.metric.better * row.score, row.latency_ms_p50, row.model))


def write_csv(path: Path, rows: Sequence[LeaderboardRow], of: Task) -> None:
    """One line a row under its columns, fractions and seconds to six decimals."""
    names = columns(rows, of)
    _write(path, names, rows)


def write_pareto(path: Path, rows: Sequence[LeaderboardRow], of: Task) -> None:
    """What the score of each model costs, for `dvc plots`; the score stands last, which DVC draws without being given its name."""
    names = ("model", "kind", "size_bytes", "latency_ms_p50", of.primary.name)
    _write(path, names, rows)


def _write(path: Path, names: Sequence[str], rows: Sequence[LeaderboardRow]) -> None:
    lines = ([row.value(name) for name in names] for row in rows)
    rounded = ([round(value, 6) if isinstance(value, float) else value for value in line] for line in lines)
    csv_table.write(path, names, rounded)


def markdown(rows: Sequence[LeaderboardRow], of: Task) -> str:
    """The same columns, rounded, aligned in plain text; text to the left and numbers to the right."""
    names = columns(rows, of)
    cells = [list(names), *([_told(row, name) for name in names] for row in rows)]
    cells = [[_markdown(cell) for cell in line] for line in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    words = {"model", "kind", "architecture", "verdict"}
    left = [name in words for name in names]
    rule = ["-" * width if is_left else "-" * (width - 1) + ":" for width, is_left in zip(widths, left, strict=True)]
    aligned = [
        [
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(line, widths, left, strict=True)
        ]
        for line in cells
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in [aligned[0], rule, *aligned[1:]])


def _markdown(cell: str) -> str:
    """The text of a cell, which ends neither its cell nor its row and is no markup."""
    plain = " ".join(visible(cell).replace(numbers.THIN, " ").split())
    return re.sub(r"([\\|<`\[])", r"\\\1", plain)


def _verdict(bundle: Bundle) -> str:
    if not (bundle.folder / verdict.VERDICT).is_file():
        return ""
    found = verdict.read(bundle.folder)
    return found.outcome if found.goals else ""


# How columns are written for people; scores are told in percent, words and years as they are.
WRITTEN: dict[str, Callable[[float], str]] = {
    "params": numbers.count,
    "macs": numbers.count,
    "size_bytes": numbers.size,
    "latency_ms_p50": numbers.milliseconds,
    "latency_ms_p95": numbers.milliseconds,
    "throughput_ips": numbers.significant,
    "train_seconds": numbers.duration,
}


def _told(row: LeaderboardRow, name: str) -> str:
    value = row.value(name)
    if value is None:
        return numbers.MISSING
    if name in row.scores:
        return numbers.percent(row.scores[name])
    return WRITTEN[name](float(value)) if name in WRITTEN else str(value)
