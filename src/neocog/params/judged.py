"""Sections of params.yaml whose keys bear the name of the primary metric of the data's task: `register`, and a recipe of `compress`."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, create_model

from neocog.compression.chain.goals import goals
from neocog.core.constrained_types import Fraction, Positive
from neocog.params.sections import Compression, Register, Wanted
from neocog.tasks.task import Metric, task

TASK = "classification"  # of data.task, where it is not said


def task_of(raw: Mapping[str, Any]) -> str:
    """The task of the data of params.yaml. Its section `data` must have been checked."""
    return str(raw.get("data", {}).get("task", TASK))


def metric_of(raw: Mapping[str, Any]) -> Metric:
    """The primary metric of that task."""
    return task(task_of(raw)).primary


@cache
def compression(metric: Metric) -> TypeAdapter[Compression]:
    """A recipe of models that are judged by `metric`: with the goal max_<metric>_drop."""
    kind = goals(metric)
    return TypeAdapter(create_model("Compression", __base__=Compression, goals=(kind, kind())))


@cache
def wanted(metric: Metric) -> type[Wanted]:
    """The goals of `register`, with min_<metric>."""
    limit: Any = Fraction if metric.fraction else Positive
    return create_model("Wanted", __base__=Wanted, **{metric.goal: (limit | None, None)})  # type: ignore[call-overload]


@cache
def register(metric: Metric) -> TypeAdapter[Register]:
    """The section `register` for models that are judged by `metric`: prefer: <metric>, and the goal min_<metric>."""
    kind = wanted(metric)
    choices: Any = Literal[metric.name, "latency", "size"]
    return TypeAdapter(create_model("Register", __base__=Register, prefer=(choices, metric.name), goals=(kind, kind())))
