"""The page's section about tuning: a verdict for each architecture, the pictures of its sweep and all its trials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from neocog.drawing import numbers, svg
from neocog.drawing.svg import tag
from neocog.report.sweeps import figures, importance, narrative, parallel
from neocog.report.sweeps.read import DEFAULTS, Sweep, SweepTrial, written

INTRODUCTION = (
    "Would other settings do better? Each trial is a training with settings of its own; trial 0 has today's. The best is trained in full "
    "and compared with today's model image by image, on the validation images: the test images have no part in it."
)
IN_ORDER = "Each trial in its order, on the validation images after its last epoch. The grey steps are the best so far."
LINES = "Each line is a trial: the bluer, the more accurate. The orange one is the winner; those stopped early are faint, failed dashed."


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


def section(sweeps: Sequence[SweepFigures], *, made: Mapping[str, str] | None = None) -> str:
    """The section as markup, with the id `tuning`; empty if nothing was tuned. `made` says by a sweep's name how it was made."""
    if not sweeps:
        return ""
    options = [tag("option", escape(d.sweep.name), value=f"sweep-{i}") for i, d in enumerate(sweeps)]
    picker = tag("label", "Model", for_="sweeper") + tag("select", *options, id="sweeper")
    return tag(
        "section",
        tag("h2", "Hyper-parameter search"),
        tag("p", escape(INTRODUCTION)),
        *(_verdict(drawn.sweep) for drawn in sweeps),
        tag("div", picker, class_="picker"),
        *(_panel(drawn, i, made=(made or {}).get(drawn.sweep.name, "")) for i, drawn in enumerate(sweeps)),
        id="tuning",
    )


def _verdict(sweep: Sweep) -> str:
    rest = narrative.verdict(sweep).removeprefix(sweep.name)
    return tag("p", tag("b", escape(sweep.name)), escape(rest), class_="verdict")


def _panel(drawn: SweepFigures, i: int, *, made: str) -> str:
    sweep = drawn.sweep
    count = len(importance.comparable(sweep))
    mattered = f"Each setting alone, by fANOVA (Hutter et al. 2014) over {count} trials: the fewer, the rougher."
    explained = (
        _figure(drawn.importance, mattered, made)
        if drawn.importance
        else tag("p", escape(narrative.unexplained(sweep)), class_="note")
    )
    return tag(
        "section",
        tag("h3", f"What {escape(sweep.name)} tried"),
        tag("p", escape(narrative.searched(sweep)), class_="note"),
        tag("div", _figure(drawn.parallel, LINES, made), class_="wide"),
        tag(
            "div", _figure(drawn.history, f"{IN_ORDER} {narrative.edge(sweep)}".strip(), made), explained, class_="pair"
        ),
        tag("h3", "All trials"),
        tag("div", _table(sweep), class_="wide scroll"),
        made,
        class_="sweep",
        id=f"sweep-{i}",
        aria_label=f"{sweep.name}: its trials",
    )


def _figure(drawing: str, caption: str, made: str) -> str:
    return tag("figure", drawing, tag("figcaption", escape(caption), made, class_="note"))


def _table(sweep: Sweep) -> str:
    """All trials, the most accurate first; sorted by any column at a click."""
    heads = [
        _head("trial"),
        _head("status", class_="word"),
        _head("epochs"),
        _head("time"),
        _head(f"val/{sweep.metric.name}", data_first="descending", aria_sort="descending"),
        _head("val/loss"),
        *(_head(key) for key in sweep.space),
    ]
    order = sorted(sweep.trials, key=lambda t: (t.score is None, -(t.score or 0.0), t.number))
    rows = [tag("tr", *_cells(trial, sweep)) for trial in order]
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sortable leaders")


def _head(heading: str, **attributes: str) -> str:
    return tag("th", tag("button", escape(heading)), scope="col", **attributes)


def _cells(trial: SweepTrial, sweep: Sweep) -> list[str]:
    name = {sweep.verdict.trial: "best", DEFAULTS: "today"}.get(trial.number, "")
    note = tag("small", name) if name else ""
    look = {"class_": "best"} if trial.number == sweep.verdict.trial else {}
    return [
        tag("td", str(trial.number), note, data_value=trial.number),
        tag("td", escape(trial.status), class_="word"),
        tag("td", str(trial.epochs)),
        tag("td", numbers.duration(trial.seconds), data_value=round(trial.seconds, 3)),
        tag("td", _or_missing(trial.score, numbers.percent), data_value=_raw(trial.score), **look),
        tag("td", _or_missing(trial.loss, numbers.significant), data_value=_raw(trial.loss)),
        *(_setting(trial, key) for key in sweep.space),
    ]


def _setting(trial: SweepTrial, key: str) -> str:
    value = trial.values.get(key)
    if value is None:
        return tag("td", numbers.MISSING, data_value="")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return tag("td", escape(written(value)), data_value=repr(value) if number else written(value))


def _or_missing(value: float | None, told: Callable[[float], str]) -> str:
    return numbers.MISSING if value is None else told(value)


def _raw(value: float | None) -> str:
    return "" if value is None else repr(value)
