"""The rule of promotion: of the models on the leaderboard that meet the goals, the best by one measure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from neocog.bundle import read
from neocog.bundle.read import Bundle
from neocog.core import csv_table
from neocog.core.errors import NeocogError, UserError, nearest
from neocog.report.compression import verdict
from neocog.serving import predictor
from neocog.tasks.task import Metric, task

LEADERBOARD = Path("reports/leaderboard.csv")
_NAMED = 5  # models that an error names with their reason


Goals = Mapping[str, float | None]  # limits by the names of the goals; None = not asked for


def goals(limits: Goals, metric: Metric) -> Goals:
    """The `register.goals` of params.yaml: of the score on the test images, of ms for one image (the median), of bytes of the graph.

    Raises UserError for one that does not exist or is no number.
    """
    known = [metric.goal, "max_latency_ms", "max_bytes"]
    for name, limit in limits.items():
        if name not in known:
            raise UserError(f"params.yaml: register.goals.{name}: unknown key; {nearest(str(name), known)}")
        if limit is not None and not (type(limit) in (int, float) and limit >= 0):  # True is no number, nor is NaN
            raise UserError(f"params.yaml: register.goals.{name} (={limit!r}) must be a number of at least 0, or null")
    return limits


@dataclass(frozen=True)
class RankedModel:
    """What the rule looks at of a model on the leaderboard."""

    model: str
    score: float  # by the primary metric of its task, on the test images
    latency_ms: float
    size_bytes: int


def best(
    *,
    prefer: str | None = None,
    limits: Goals | None = None,
    leaderboard: Path = LEADERBOARD,
    models: Path = Path("models"),
) -> tuple[Bundle, RankedModel]:
    """The model to promote, and its row: the best by `prefer`, which is the primary metric of its task unless said.

    A tie goes to the better score, then the faster, then by name. Raises UserError, with what each of the best lacks, when there is none.
    """
    metric, rows = board(leaderboard, models=models)
    keys: Mapping[str, Callable[[RankedModel], float]] = {
        metric.name: lambda row: -metric.better * row.score,
        "latency": lambda row: row.latency_ms,
        "size": lambda row: row.size_bytes,
    }
    prefer = prefer or metric.name
    if prefer not in keys:
        raise UserError(f"register.prefer (={prefer!r}) is not one of the choices; {nearest(prefer, keys)}")
    wanted = goals(limits or {}, metric)
    rows.sort(key=lambda row: (keys[prefer](row), -metric.better * row.score, row.latency_ms, row.model))
    lacking: list[str] = []
    for row in rows:
        bundle = read.read(models / row.model)
        why = unfit(bundle) or missed(row, wanted, metric)
        if not why:
            return bundle, row
        lacking.append(f"  {row.model}: {why}")
    more = len(lacking) - _NAMED
    raise UserError(
        f"no model of {leaderboard} may be registered\n"
        + "\n".join(lacking[:_NAMED])
        + (f"\n  ... and {more} more" if more > 0 else "")
        + "\nLower register.goals in params.yaml, or train, tune or compress until a model meets them"
    )


def unfit(bundle: Bundle) -> str:
    """Why a bundle must not be registered, whatever the goals; empty when it may."""
    if not bundle.card.get("parity"):
        return "its graph was never held against PyTorch (no `parity` in bundle.json)"
    if (bundle.folder / verdict.VERDICT).is_file():
        found = verdict.read(bundle.folder)
        if not found.met:
            goals = ", ".join(goal.goal for goal in found.goals if not goal.met) or "a goal"
            return f"its recipe {'missed' if found.outcome == 'missed' else 'did not decide'} {goals}"
    try:
        predictor.load(bundle, threads=1)
    except NeocogError as error:
        return str(error)
    return ""


def shortfall(bundle: Bundle, asked: Goals, *, leaderboard: Path = LEADERBOARD, models: Path = Path("models")) -> str:
    """Why a bundle that was named may not be good enough: the goals it misses, or that it was never judged; empty when it is."""
    metric = task(bundle.task).primary
    wanted = goals(asked, metric)
    rows = board(leaderboard, models=models)[1] if leaderboard.is_file() else []
    row = next((row for row in rows if row.model == bundle.model), None)
    if row is None or not _same(models / row.model, bundle):
        return f"it was never judged here (no row of {leaderboard} is about it)"
    return missed(row, wanted, metric)


def missed(row: RankedModel, goals: Goals, metric: Metric) -> str:
    """The goals that a row misses, each with its value; empty when it meets all."""
    values: Mapping[str, float] = {
        metric.goal: row.score,
        "max_latency_ms": row.latency_ms,
        "max_bytes": row.size_bytes,
    }
    wanted = {name: limit for name in values if (limit := goals.get(name)) is not None}
    return ", ".join(
        f"{values[name]:g} misses {name} {limit:g}"
        for name, limit in wanted.items()
        if (values[name] < limit if name.startswith("min") else values[name] > limit)
    )


def _same(folder: Path, bundle: Bundle) -> bool:
    return (folder / read.CARD).is_file() and read.digest(folder) == read.digest(bundle.folder)


def board(leaderboard: Path = LEADERBOARD, *, models: Path = Path("models")) -> tuple[Metric, list[RankedModel]]:
    """The metric of the leaderboard, and what stands there. Raises UserError when it is not there, is empty or damaged."""
    try:
        lines = list(csv_table.read(leaderboard))
        metric = task(read.read(models / lines[0]["model"]).task).primary if lines else None
        rows = [
            RankedModel(each["model"], float(each[metric.name]), float(each["latency_ms_p50"]), int(each["size_bytes"]))
            for each in lines
            if metric
        ]
    except FileNotFoundError:
        raise UserError(f"{leaderboard} is not there; `dvc repro report` makes it") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{leaderboard} is damaged ({error!r}); `dvc repro --force report` makes it again") from None
    if metric is None:
        raise UserError(f"{leaderboard} names no model; `dvc repro report` makes it again")
    return metric, rows
