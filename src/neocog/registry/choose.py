"""The rule of promotion: of the models on the leaderboard that meet the goals, the best by one measure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from neocog.bundle import read
from neocog.bundle.read import Bundle
from neocog.core import csv_table
from neocog.core.errors import NeocogError, UserError, nearest
from neocog.report.compression import verdict
from neocog.serving import predictor

LEADERBOARD = Path("reports/leaderboard.csv")
PREFER = {  # the lowest key wins; a tie goes to the more accurate, then the faster, then by name
    "top1": lambda row: -row.top1,
    "latency": lambda row: row.latency_ms,
    "size": lambda row: row.size_bytes,
}
_NAMED = 5  # models that an error names with their reason


@dataclass(frozen=True, kw_only=True)
class Goals:
    """What a model must be: top-1 on the test images, ms for one image (the median), bytes of its graph; None = not asked for."""

    min_top1: float | None = None
    max_latency_ms: float | None = None
    max_bytes: int | None = None


def goals(told: Mapping[str, float | None]) -> Goals:
    """The `register.goals` of params.yaml. Raises UserError for one that does not exist or is no number."""
    known = [field.name for field in fields(Goals)]
    for name, limit in told.items():
        if name not in known:
            raise UserError(f"params.yaml: register.goals.{name}: unknown key; {nearest(str(name), known)}")
        if limit is not None and not (type(limit) in (int, float) and limit >= 0):  # True is no number, nor is NaN
            raise UserError(f"params.yaml: register.goals.{name} (={limit!r}) must be a number of at least 0, or null")
    return Goals(**told)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Row:
    """What the rule looks at of a model on the leaderboard."""

    model: str
    top1: float
    latency_ms: float
    size_bytes: int


def best(
    *, prefer: str, goals: Goals, leaderboard: Path = LEADERBOARD, models: Path = Path("models")
) -> tuple[Bundle, Row]:
    """The model to promote, and its row. Raises UserError, with what each of the best lacks, when there is none."""
    if prefer not in PREFER:
        raise UserError(f"register.prefer (={prefer!r}) is not one of the choices; {nearest(prefer, PREFER)}")
    rows = sorted(rows_of(leaderboard), key=lambda row: (PREFER[prefer](row), -row.top1, row.latency_ms, row.model))
    lacking: list[str] = []
    for row in rows:
        bundle = read.read(models / row.model)
        why = unfit(bundle) or missed(row, goals)
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


def shortfall(bundle: Bundle, goals: Goals, *, leaderboard: Path = LEADERBOARD, models: Path = Path("models")) -> str:
    """Why a bundle that was named may not be good enough: the goals it misses, or that it was never judged; empty when it is."""
    rows = rows_of(leaderboard) if leaderboard.is_file() else []
    row = next((row for row in rows if row.model == bundle.model), None)
    if row is None or not _same(models / row.model, bundle):
        return f"it was never judged here (no row of {leaderboard} is about it)"
    return missed(row, goals)


def missed(row: Row, goals: Goals) -> str:
    """The goals that a row misses, each with its value; empty when it meets all."""
    values: Mapping[str, float] = {
        "min_top1": row.top1,
        "max_latency_ms": row.latency_ms,
        "max_bytes": row.size_bytes,
    }
    wanted = {name: limit for name, limit in asdict(goals).items() if limit is not None}
    return ", ".join(
        f"{values[name]:g} misses {name} {limit:g}"
        for name, limit in wanted.items()
        if (values[name] < limit if name.startswith("min") else values[name] > limit)
    )


def _same(folder: Path, bundle: Bundle) -> bool:
    return (folder / read.CARD).is_file() and read.digest(folder) == read.digest(bundle.folder)


def rows_of(leaderboard: Path) -> list[Row]:
    """What stands on the leaderboard. Raises UserError when it is not there, is empty or damaged."""
    try:
        rows = [
            Row(each["model"], float(each["top1"]), float(each["latency_ms_p50"]), int(each["size_bytes"]))
            for each in csv_table.read(leaderboard)
        ]
    except FileNotFoundError:
        raise UserError(f"{leaderboard} is not there; `dvc repro report` makes it") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{leaderboard} is damaged ({error!r}); `dvc repro --force report` makes it again") from None
    if not rows:
        raise UserError(f"{leaderboard} names no model; `dvc repro report` makes it again")
    return rows
