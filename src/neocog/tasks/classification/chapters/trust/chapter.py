"""Chapter "Calibration and groups": calibration, when to abstain, groups of images, several seeds; a panel a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neocog.drawing import numbers
from neocog.report.chapters import Chapter
from neocog.report.models import JudgedModel
from neocog.report.provenance import how, judged
from neocog.report.tables import TableCell, TableColumn, TableRow, cell
from neocog.report.templates import render
from neocog.statistics.slices import ahead
from neocog.tasks.classification.chapters import confusion
from neocog.tasks.classification.chapters.trust import figures, narrative
from neocog.tasks.classification.chapters.trust.read import Trust, read

COLUMNS = (  # score of metrics.json, heading, what it says, how it is written
    ("ece", "ECE", "expected calibration error: how far confidence is from accuracy, on average", numbers.percent),
    ("temperature", "temperature", "by which its logits would have to be divided", numbers.significant),
    ("ece_at_temperature", "ECE calibrated", "with the logits divided by the temperature", numbers.percent),
    ("nll", "NLL", "negative log-likelihood, nats", numbers.significant),
    ("nll_at_temperature", "NLL calibrated", "with the logits divided by the temperature", numbers.significant),
    ("aurc", "AURC", "area under the curve of risk over coverage", numbers.significant),
    (
        "coverage_at_risk_5",
        "coverage at 5 % risk",
        "share of images it can answer while 5 % of the answers are wrong",
        numbers.percent,
    ),
)


@dataclass(frozen=True)
class TrustFigures:
    """What is known of each model, best first, with its figures as SVG text; `groups` has one a column of groups, `confused` one a column
    that came with the images.
    """

    found: tuple[Trust, ...]
    called: Mapping[str, str]
    reliability: tuple[str, ...]
    answers: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    confused: tuple[tuple[str, ...], ...]


def draw(models: Sequence[JudgedModel], *, called: Mapping[str, str]) -> TrustFigures:
    """The chapter's figures about `models`, best first."""
    found = tuple(read(model) for model in models)
    names = [called[each.model.row.model] for each in found]
    best = min(range(len(found)), key=lambda i: found[i].answers.area)
    return TrustFigures(
        found,
        called,
        tuple(
            figures.reliability(each.bins, each.honest, name=name) if each.bins else ""
            for each, name in zip(found, names, strict=True)
        ),
        tuple(
            figures.answers(each.answers, found[best].answers, name=name, rival=names[best])
            for each, name in zip(found, names, strict=True)
        ),
        tuple(
            tuple(figures.groups(groups, name=name, overall=each.model.row.score) for groups in each.groups.values())
            for each, name in zip(found, names, strict=True)
        ),
        tuple(
            tuple(
                confusion.heatmap(matrix, each.model.bundle.classes, name=f"{name}: {column} = {worst.value}")
                for column, (worst, matrix) in each.confused.items()
            )
            for each, name in zip(found, names, strict=True)
        ),
    )


def chapter(drawn: TrustFigures, *, data: str) -> Chapter:
    """The chapter `trust`; `data` is the digest of the prepared data."""
    best = min(drawn.found, key=lambda each: each.answers.area)
    models = [each.model.row.model for each in drawn.found]
    columns, rows = _table(drawn)
    markup = render(
        Path(__file__).with_name("trust.html"),
        choices=[(model, drawn.called[model]) for model in models],
        panels=[_panel(drawn, i, data=data) for i in range(len(models))],
        rival=drawn.called[best.model.row.model],
        narrative=narrative,
        columns=columns,
        rows=rows,
    )
    return Chapter("trust", "Calibration and groups", markup, after="compare")


def _panel(drawn: TrustFigures, i: int, *, data: str) -> dict[str, Any]:
    """What is shown of one model: its figures, and how each was made."""
    each = drawn.found[i]
    bundle, folder = each.model.bundle, each.model.folder
    files = {
        "reliability": ("tables", "predictions.parquet"),
        "answers": ("predictions.parquet",),
        "groups": ("tables", "predictions.parquet"),
        "confused": ("tables",),
    }
    return {
        "trust": each,
        "name": drawn.called[each.model.row.model],
        "reliability": drawn.reliability[i],
        "answers": drawn.answers[i],
        "groups": dict(zip(each.groups, drawn.groups[i], strict=True)),
        "confused": dict(zip(each.confused, drawn.confused[i], strict=True)),
        "made": {figure: how(judged(bundle, folder, *names), data=data) for figure, names in files.items()},
    }


def _table(drawn: TrustFigures) -> tuple[list[TableColumn], list[TableRow]]:
    """Every model's scores; columns that nobody has are left out."""
    scores = [column for column in COLUMNS if any(each.score(column[0]) is not None for each in drawn.found)]
    seeds = any(each.seeds for each in drawn.found)
    columns = [
        TableColumn("model", look="word"),
        *(TableColumn(heading, about) for _, heading, about, _ in scores),
        TableColumn("worst group", "top-1 of its worst group or class"),
        TableColumn("gap", "from the best group to the worst, points, with its 95 % interval (Newcombe 1998)"),
    ]
    columns += [TableColumn("seeds", "top-1 of several trainings, mean ± standard deviation")] if seeds else []
    rows = []
    for each in drawn.found:
        model = each.model.row.model
        cells = [TableCell(drawn.called[model], look="word")]
        cells += [_cell(each.score(score), write) for score, _, _, write in scores]
        cells += _groups(each)
        if seeds:
            spread = f"± {100 * each.seeds.spread:.2f}" if each.seeds else ""
            cells.append(_cell(each.seeds.mean if each.seeds else None, numbers.percent, note=spread))
        rows.append(TableRow(cells, model))
    return columns, rows


def _groups(each: Trust) -> list[TableCell]:
    """The cells of the worst group, and of the gap between the best and the worst."""
    worst, best = each.extremes or (None, None)
    gap = ahead(best, worst) if worst and best else None
    return [
        _cell(worst.score if worst else None, numbers.percent, note=worst.value if worst else "", look="named"),
        _cell(gap[0] if gap else None, lambda value: f"{100 * value:.1f}", note=narrative.interval(gap) if gap else ""),
    ]


def _cell(value: float | None, write: Callable[[float], str], *, note: str = "", look: str = "") -> TableCell:
    return cell(None if value is None else round(float(value), 6), write, note=note, look=look)
