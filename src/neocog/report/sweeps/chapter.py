"""Chapter "Hyper-parameter search": a verdict for each architecture, the figures of its sweep and all its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neocog.drawing import numbers, svg
from neocog.report.chapters import Chapter
from neocog.report.sweeps import figures, importance, narrative, parallel
from neocog.report.sweeps.read import DEFAULTS, Sweep, SweepTrial, written
from neocog.report.tables import TableCell, TableColumn, TableRow, cell
from neocog.report.templates import render


@dataclass(frozen=True)
class SweepFigures:
    """A sweep with its figures as SVG text; `importance` is empty where too few trials can be compared."""

    sweep: Sweep
    history: str
    parallel: str
    importance: str

    @property
    def files(self) -> dict[str, str]:
        """The figures by the names of their files."""
        drawings = {"history": self.history, "parallel": self.parallel, "importance": self.importance}
        return {f"sweep.{self.sweep.name}.{name}": drawing for name, drawing in drawings.items()}


def draw(sweep: Sweep) -> SweepFigures:
    """All figures of one sweep."""
    found = importance.importances(sweep)
    bars = figures.bars(found, name=sweep.name, score=sweep.metric.heading) if found else ""
    return SweepFigures(sweep, figures.history(sweep), parallel.parallel(sweep), bars)


def write(sweep: Sweep, folder: Path) -> None:
    """All figures of one sweep as files of their own."""
    svg.write(draw(sweep).files, folder)


def chapter(sweeps: Sequence[SweepFigures], *, made: Mapping[str, str] | None = None) -> Chapter:
    """The chapter `tuning`, empty if nothing was tuned. `made` says by a sweep's name how its figures were made."""
    title = "Hyper-parameter search"
    if not sweeps:
        return Chapter("tuning", title, "")
    markup = render(
        Path(__file__).with_name("sweeps.html"),
        sweeps=sweeps,
        choices=[("", each.sweep.name) for each in sweeps],
        made={each.sweep.name: (made or {}).get(each.sweep.name, "") for each in sweeps},
        narrative=narrative,
        comparable=importance.comparable,
        columns=_columns,
        rows=_rows,
    )
    return Chapter("tuning", title, markup, figures={name: each.files[name] for each in sweeps for name in each.files})


def _columns(sweep: Sweep) -> list[TableColumn]:
    fixed = [TableColumn("trial"), TableColumn("status", look="word"), TableColumn("epochs"), TableColumn("time")]
    score = TableColumn(f"val/{sweep.metric.name}", first="descending", sorted="descending")
    return [*fixed, score, TableColumn("val/loss"), *(TableColumn(key) for key in sweep.space)]


def _rows(sweep: Sweep) -> list[TableRow]:
    """All trials, the most accurate first."""
    order = sorted(sweep.trials, key=lambda t: (t.score is None, -(t.score or 0.0), t.number))
    return [TableRow(_cells(trial, sweep)) for trial in order]


def _cells(trial: SweepTrial, sweep: Sweep) -> list[TableCell]:
    best = trial.number == sweep.verdict.trial
    return [
        TableCell(str(trial.number), trial.number, "best" if best else "today" if trial.number == DEFAULTS else ""),
        TableCell(trial.status, look="word"),
        TableCell(str(trial.epochs)),
        TableCell(numbers.duration(trial.seconds), round(trial.seconds, 2)),
        cell(trial.score, numbers.percent, look="best" if best else ""),
        cell(trial.loss, numbers.significant),
        *(_setting(trial.values.get(key)) for key in sweep.space),
    ]


def _setting(value: Any) -> TableCell:
    if value is None:
        return TableCell(numbers.MISSING, "")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return TableCell(written(value), value if number else written(value))
