"""One row a model: what it is, how right, how big, how fast, what it cost. CSV for programs, Markdown for people."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from neocog import architectures
from neocog.bundle.read import Bundle
from neocog.core import csv_table
from neocog.core.escape import visible
from neocog.drawing import numbers
from neocog.report.compression import verdict


@dataclass(frozen=True)
class Row:
    """A model on the leaderboard. Scores are fractions, latencies milliseconds; None where nothing was trained.

    `verdict` says of a compressed model with goals whether it has `met` or `missed` them; empty for others. `top1_mean` and `top1_std` are
    over several seeds, None of what was trained once. `network` is the published network (`resnet18`) where `model` has only the name of
    its architecture; empty for the small form.
    """

    model: str
    kind: str
    architecture: str
    year: int
    top1: float
    top1_low: float
    top1_high: float
    top5: float
    macro_f1: float
    ece: float
    params: int
    macs: int
    size_bytes: int
    latency_ms_p50: float
    latency_ms_p95: float
    throughput_ips: float
    train_seconds: float | None
    epochs: int | None
    verdict: str = ""
    top1_mean: float | None = None
    top1_std: float | None = None
    network: str = ""

    @property
    def name(self) -> str:
        """The part of `model` after its kind."""
        return self.model.partition("/")[2]


SEEDS = ("top1_mean", "top1_std")
COLUMNS = tuple(field.name for field in fields(Row) if field.name not in (*SEEDS, "network"))
SCORES = ("top1", "top1_low", "top1_high", "top5", "macro_f1", "ece")


def row(
    bundle: Bundle, *, metrics: Mapping[str, float], benchmark: Mapping[str, str], training: Mapping[str, float]
) -> Row:
    """Join what is known of one bundle. Raises KeyError for the first thing missing; `training` may be empty."""
    return Row(
        model=bundle.model,
        kind=bundle.kind,
        architecture=bundle.architecture,
        year=bundle.card["year"],
        top1=metrics["test/top1"],
        top1_low=metrics["test/top1_low"],
        top1_high=metrics["test/top1_high"],
        top5=metrics["test/top5"],
        macro_f1=metrics["test/macro_f1"],
        ece=metrics["test/ece"],
        params=int(benchmark["params"]),
        macs=int(benchmark["macs"]),
        size_bytes=int(benchmark["size_bytes"]),
        latency_ms_p50=float(benchmark["latency_ms_p50"]),
        latency_ms_p95=float(benchmark["latency_ms_p95"]),
        throughput_ips=float(benchmark["throughput_ips"]),
        train_seconds=float(training["train/seconds"]) if training else None,
        epochs=int(training["train/epochs"]) if training else None,
        verdict=_verdict(bundle),
        top1_mean=metrics.get("test/top1_mean"),
        top1_std=metrics.get("test/top1_std"),
        network=published(bundle) if bundle.name == bundle.architecture and bundle.kind != "compressed" else "",
    )


def published(bundle: Bundle) -> str:
    """The published network that a bundle is, by the name of its form or in timm; empty for the small form."""
    sizes = bundle.card["build"].get("sizes", {})
    form = sizes.get("form", architectures.SMALL)
    return form if form != architectures.SMALL else str(sizes.get("model", "")) if bundle.architecture == "timm" else ""


def columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """COLUMNS, and those of several seeds where a model has them."""
    return COLUMNS + SEEDS if any(row.top1_mean is not None for row in rows) else COLUMNS


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Best top-1 first; the faster one first where that is equal, then by name."""
    return sorted(rows, key=lambda row: (-row.top1, row.latency_ms_p50, row.model))


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line a row under its columns, fractions and seconds to six decimals."""
    lines = ([getattr(row, name) for name in columns(rows)] for row in rows)
    rounded = ([round(value, 6) if isinstance(value, float) else value for value in line] for line in lines)
    csv_table.write(path, columns(rows), rounded)


def markdown(rows: Sequence[Row]) -> str:
    """The same columns, rounded, aligned in plain text; text to the left and numbers to the right."""
    names = columns(rows)
    cells = [list(names), *([_told(row)[name] for name in names] for row in rows)]
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


def _told(row: Row) -> dict[str, str]:
    return {
        "model": row.model,
        "kind": row.kind,
        "architecture": row.architecture,
        "year": str(row.year),
        **{name: numbers.percent(getattr(row, name)) for name in SCORES},
        "params": numbers.count(row.params),
        "macs": numbers.count(row.macs),
        "size_bytes": numbers.size(row.size_bytes),
        "latency_ms_p50": numbers.milliseconds(row.latency_ms_p50),
        "latency_ms_p95": numbers.milliseconds(row.latency_ms_p95),
        "throughput_ips": numbers.significant(row.throughput_ips),
        "train_seconds": numbers.MISSING if row.train_seconds is None else numbers.duration(row.train_seconds),
        "epochs": numbers.MISSING if row.epochs is None else str(row.epochs),
        "verdict": row.verdict,
        **{
            name: numbers.MISSING if (value := getattr(row, name)) is None else numbers.percent(value) for name in SEEDS
        },
    }
