"""What a recipe must reach, and whether it did."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from neocog.core.constrained_types import Bytes, Fraction, Positive
from neocog.statistics.paired import Paired

UNDECIDED = "not decided"


@dataclass(frozen=True, kw_only=True)
class Goals:
    """The `goals` of a recipe in params.yaml; None = not asked for. All compare the model with its parent as ONNX graphs."""

    max_top1_drop: Fraction | None = None  # of top-1 on the validation images
    min_speedup: Positive | None = None  # images a second at batch 64 on one thread
    max_bytes: Bytes | None = None  # of the graph on disk


@dataclass(frozen=True)
class Judged:
    """One goal and the `value` measured. `by` says how far it is on the right side (negative: on the wrong one).

    `low` and `high` are the ends of the value's 95 % interval where it is a share of images. A goal is missed only where the whole interval
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


def dropped(limit: float, found: Paired) -> Judged:
    """The goal `max_top1_drop` for a model, `found` against its parent image by image."""
    drop, low, high = (round(-each, 6) + 0.0 for each in (found.difference, found.high, found.low))
    return Judged("max_top1_drop", limit, drop, low, high)


def judge(goals: Goals, *, found: Paired, speedup: float, size_bytes: int) -> list[Judged]:
    """Every goal that was asked for."""
    judged = [] if goals.max_top1_drop is None else [dropped(goals.max_top1_drop, found)]
    values: Mapping[str, float] = {"min_speedup": round(speedup, 6), "max_bytes": size_bytes}
    limits = {goal: limit for goal, limit in asdict(goals).items() if goal in values and limit is not None}
    return judged + [Judged(goal, limit, values[goal]) for goal, limit in limits.items()]
