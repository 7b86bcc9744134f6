"""Measurements of a model between two steps of a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neocog.tasks.task import Metric

_WEIGHT = ("params", "macs", "size_bytes")
_OF_A_STEP = ("method", "settings", "kept", "seconds")  # keys beside a point's own, in verdict.json


@dataclass(frozen=True)
class Point:
    """The `score` on the validation images, by the primary metric of the task, and what the graph weighs."""

    score: float
    params: int
    macs: int
    size_bytes: int

    def entry(self, metric: Metric) -> dict[str, float | int]:
        """As in verdict.json: the score under the metric's name."""
        return {metric.name: self.score, **{key: getattr(self, key) for key in _WEIGHT}}

    def text(self, metric: Metric) -> str:
        """`val/top1 0.9123, 1,000 parameters, ...`."""
        return f"val/{metric.name} {self.score:.4f}, {self.params:,} parameters, {self.macs:,} MACs, {self.size_bytes / 1000:,.0f} kB"


def point(entry: Mapping[str, Any]) -> Point:
    """The point of an entry of verdict.json. Raises KeyError, TypeError or ValueError where it is none."""
    named = [key for key in entry if key not in (*_WEIGHT, *_OF_A_STEP)]
    if len(named) != 1:
        raise KeyError("the score")
    return Point(float(entry[named[0]]), *(int(entry[key]) for key in _WEIGHT))
