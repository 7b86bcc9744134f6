"""The page's chapter on trust: calibration, when to abstain, groups of images, several seeds; a panel a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from neocog.drawing import numbers
from neocog.drawing.svg import tag
from neocog.report.models import JudgedModel
from neocog.report.provenance import how, judged
from neocog.statistics.slices import Slice, ahead
from neocog.tasks.classification.chapters import confusion
from neocog.tasks.classification.chapters.trust import figures, narrative
from neocog.tasks.classification.chapters.trust.read import Trust, read

INTRODUCTION = (
    "A model that is 90 % sure should be right nine times in ten. And it should be right for every kind of image, not only "
    "on average."
)
RELIABILITY = (
    "Each dot is the images of which it is about so sure: the larger, the more of them. On the diagonal it would be as sure "
    "as it is right."
)
HONEST = "The dashed line is the same with its logits divided by a temperature fitted on validation images (Guo et al. 2017)."
ANSWERS = "If it may say “I do not know”: how often it is wrong on the images of which it is surest."
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


def chapter(drawn: TrustFigures, *, data: str) -> str:
    """The chapter as markup, with the id `trust`; `data` is the digest of the prepared data."""
    best = min(drawn.found, key=lambda each: each.answers.area)
    rival = drawn.called[best.model.row.model]
    options = [
        tag("option", escape(drawn.called[each.model.row.model]), value=f"trust-{i}", data_model=each.model.row.model)
        for i, each in enumerate(drawn.found)
    ]
    picker = tag("label", "Model", for_="truster") + tag("select", *options, id="truster")
    panels = [_panel(drawn, i, rival=rival, data=data) for i in range(len(drawn.found))]
    return tag(
        "section",
        tag("h2", "Calibration, abstention and groups"),
        tag("p", escape(INTRODUCTION)),
        tag("div", _table(drawn), class_="wide scroll"),
        tag("div", picker, class_="picker"),
        *panels,
        id="trust",
    )


def _panel(drawn: TrustFigures, i: int, *, rival: str, data: str) -> str:
    each = drawn.found[i]
    bundle, folder, name = each.model.bundle, each.model.folder, drawn.called[each.model.row.model]
    made = {
        file: how(judged(bundle, folder, *file.split("+")), data=data)
        for file in (
            "reliability.csv+predictions.parquet",
            "predictions.parquet",
            "groups.csv+predictions.parquet",
            "group_confusion.csv",
        )
    }
    sure, answered, grouped, confused = made.values()
    seen = RELIABILITY + (f" {HONEST}" if each.honest else "")
    gray = "" if rival == name else f" Gray: {rival}, the best at this."
    shown = [_figure(drawn.reliability[i], seen, sure)] if drawn.reliability[i] else []
    shown.append(_figure(drawn.answers[i], ANSWERS + gray, answered))
    seeds = narrative.seeds(each)
    return tag(
        "section",
        tag("h3", escape(name)),
        *(tag("p", escape(words)) for words in (narrative.calibrated(each), narrative.answering(each)) if words),
        tag("div", *shown, class_="pair"),
        tag("h3", "Worst groups"),
        *(tag("p", escape(words)) for words in (narrative.fair(each), narrative.alike(each)) if words),
        tag(
            "div",
            *(
                _figure(drawing, _grouped(column), grouped)
                for column, drawing in zip(each.groups, drawn.groups[i], strict=True)
            ),
            *(
                _figure(drawing, _confused(column, worst), confused)
                for (column, (worst, _)), drawing in zip(each.confused.items(), drawn.confused[i], strict=True)
            ),
            class_="pair",
        ),
        tag("h3", "Several seeds") + tag("p", escape(seeds)) if seeds else "",
        class_="trust",
        id=f"trust-{i}",
        data_model=each.model.row.model,
        aria_label=f"{name}: calibration and groups",
    )


def _grouped(column: str) -> str:
    """What the groups of a column are."""
    return f"Top-1 by {column}, the worst first, with 95 % intervals (Wilson 1927). The line is its top-1 on all test images."


def _confused(column: str, worst: Slice) -> str:
    """Which images a confusion matrix is of."""
    return (
        f"Confusion matrix of the {worst.images:,} images with {column} {worst.value}, the worst of that column, "
        "in % of each class. The matrix of every group is in group_confusion.csv."
    )


def _figure(drawing: str, caption: str, made: str) -> str:
    return tag("figure", drawing, tag("figcaption", tag("p", escape(caption), class_="note"), made))


def _table(drawn: TrustFigures) -> str:
    """Every model's scores, sortable; columns that nobody has are left out."""
    columns = [c for c in COLUMNS if any(each.score(c[0]) is not None for each in drawn.found)]
    seeds = any(each.seeds for each in drawn.found)
    heads = [_head("model", "", word=True), *(_head(c[1], c[2]) for c in columns)]
    heads += [
        _head("worst group", "top-1 of its worst group or class"),
        _head("gap", "from the best group to the worst, points, with its 95 % interval (Newcombe 1998)"),
    ]
    heads += [_head("seeds", "top-1 of several trainings, mean ± standard deviation")] if seeds else []
    rows = [_row(each, drawn.called[each.model.row.model], columns, seeds=seeds) for each in drawn.found]
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sortable leaders")


def _head(heading: str, about: str, *, word: bool = False) -> str:
    button = tag("button", escape(heading), **({"title": about} if about else {}))
    return tag("th", button, scope="col", **({"class_": "word"} if word else {}))


def _row(
    each: Trust, name: str, columns: Sequence[tuple[str, str, str, Callable[[float], str]]], *, seeds: bool
) -> str:
    cells = [_cell(each.score(score), told) for score, _, _, told in columns]
    worst, best = each.extremes or (None, None)
    cells.append(
        _cell(worst.score if worst else None, numbers.percent, note=worst.value if worst else "", look="named")
    )
    gap = ahead(best, worst) if worst and best else None
    ends = narrative.interval(gap) if gap else ""
    cells.append(_cell(gap[0] if gap else None, lambda value: f"{100 * value:.1f}", note=ends))
    if seeds:
        spread = f"± {100 * each.seeds.spread:.2f}" if each.seeds else ""
        cells.append(_cell(each.seeds.mean if each.seeds else None, numbers.percent, note=spread))
    return tag("tr", tag("td", escape(name), class_="word"), *cells, data_model=each.model.row.model)


def _cell(value: float | None, told: Callable[[float], str], *, note: str = "", look: str = "") -> str:
    if value is None:
        return tag("td", numbers.MISSING, data_value="")
    small = tag("small", escape(note)) if note else ""
    return tag("td", told(value), small, data_value=repr(round(float(value), 6)), **({"class_": look} if look else {}))
