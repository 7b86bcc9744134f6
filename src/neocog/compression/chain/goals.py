"""Goals of a recipe, and whether they are met."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, make_dataclass
from functools import cache
from typing import Any

from neocog.core.constrained_types import Bytes, Fraction, Positive
from neocog.core.validation import STRICT
from neocog.statistics.paired import Paired
from neocog.tasks.task import Metric

UNDECIDED = "not decided"


Goals = Mapping[str, float | None]  # limits by the names of the goals, None = not asked for


@cache
def goals(metric: Metric) -> type:
    """The dataclass of the `goals` of a recipe in params.yaml, where a model is judged by `metric`; None = not asked for.

    All compare the model with its parent as ONNX graphs.
    """
    limit: Any = Fraction if metric.fraction else Positive
    found = make_dataclass(
        "Goals",
        [
            (drop(metric), limit | None, None),  # of the primary metric on the validation images
            ("min_speedup", Positive | None, None),  # images a second at batch 64 on one thread
            ("max_bytes", Bytes | None, None),  # of the graph on disk
        ],
        frozen=True,
        kw_only=True,
    )
    found.__pydantic_config__ = STRICT  # type: ignore[attr-defined] # how pydantic is told about a plain dataclass
    return found


def drop(metric: Metric) -> str:
    """The name of the goal that bounds how much worse than its parent a model may be by a metric: max_top1_drop."""
    return f"max_{metric.name}_drop"


@dataclass(frozen=True)
class Judged:
    """One goal and the `value` measured. `by` says how far it is on the right side (negative: on the wrong one).

    `low` and `high` are the ends of the value's 95 % interval, of one measured on images. A goal is missed only where the whole interval
    lies on the wrong side; on the wrong side by less it is neither met nor missed: not decided by so few images.
    """

    goal: str
    limit: float
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def by(self) -> float:
        return self.value - self.limit if self.goal.startswith("min") else self.limit - self.value

    @property
    def met(self) -> bool:
        return self.by >= 0

    @property
    def missed(self) -> bool:
        return not self.met and (self.low is None or self.low > self.limit)

    @property
    def outcome(self) -> str:
        return "met" if self.met else "missed" if self.missed else UNDECIDED

    def entry(self) -> dict[str, Any]:
        """As in verdict.json."""
        return {**asdict(self), "met": self.met, "missed": self.missed, "by": round(self.by, 6)}


def dropped(limit: float, found: Paired, metric: Metric) -> Judged:
    """The goal `max_<metric>_drop` for a model, `found` against its parent on the same images."""
    worse = sorted((-metric.better * found.low, -metric.better * found.high))
    value, low, high = (round(each, 6) + 0.0 for each in (-metric.better * found.difference, *worse))
    return Judged(drop(metric), limit, value, low, high)


def judge(goals: Goals, *, found: Paired, metric: Metric, speedup: float, size_bytes: int) -> list[Judged]:
    """Every goal that was asked for."""
    limit = goals.get(drop(metric))
    judged = [] if limit is None else [dropped(limit, found, metric)]
    values: Mapping[str, float] = {"min_speedup": round(speedup, 6), "max_bytes": size_bytes}
    limits = {goal: limit for goal, limit in goals.items() if goal in values and limit is not None}
    return judged + [Judged(goal, limit, values[goal]) for goal, limit in limits.items()]
