"""What a recipe must reach, and whether it did."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from neocog.limits import Bytes, Fraction, Positive


@dataclass(frozen=True, kw_only=True)
class Goals:
    """The `goals` of a recipe in params.yaml; None = not asked for. All compare the model with its parent as ONNX graphs."""

    max_top1_drop: Fraction | None = None  # of top-1 on the validation images
    min_speedup: Positive | None = None  # images a second at batch 64 on one thread
    max_bytes: Bytes | None = None  # of the graph on disk


@dataclass(frozen=True)
class Judged:
    """One goal and the `value` measured. `by` says how far it is on the right side (negative: on the wrong one)."""

    goal: str
    limit: float
    value: float

    @property
    def by(self) -> float:
        return self.value - self.limit if self.goal.startswith("min") else self.limit - self.value

    @property
    def met(self) -> bool:
        return self.by >= 0

    def entry(self) -> dict[str, Any]:
        """As in verdict.json."""
        return {**asdict(self), "met": self.met, "by": round(self.by, 6)}


def judge(goals: Goals, *, top1_drop: float, speedup: float, size_bytes: int) -> list[Judged]:
    """Every goal that was asked for."""
    values: Mapping[str, float] = {"max_top1_drop": top1_drop, "min_speedup": speedup, "max_bytes": size_bytes}
    return [Judged(goal, limit, round(values[goal], 6)) for goal, limit in asdict(goals).items() if limit is not None]
