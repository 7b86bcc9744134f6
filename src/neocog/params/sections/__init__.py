"""Sections of params.yaml: one strict pydantic model a file, which its stage watches for the defaults in it."""

from typing import Any

from pydantic import TypeAdapter

from neocog.core.validation import STRICT
from neocog.params.sections.audit import Audit
from neocog.params.sections.benchmark import Benchmark
from neocog.params.sections.compress import Compression
from neocog.params.sections.data import Data
from neocog.params.sections.evaluate import Evaluate
from neocog.params.sections.explain import Explain
from neocog.params.sections.ray import Ray
from neocog.params.sections.register import Register, Wanted
from neocog.params.sections.report import Report
from neocog.params.sections.repro import Repro
from neocog.params.sections.robustness import Robustness
from neocog.params.sections.tracking import Tracking
from neocog.params.sections.tune import Tune
from neocog.training.recipe import Recipe

__all__ = [
    "KINDS",
    "SECTIONS",
    "Audit",
    "Benchmark",
    "Compression",
    "Data",
    "Evaluate",
    "Explain",
    "Ray",
    "Register",
    "Report",
    "Repro",
    "Robustness",
    "Tracking",
    "Tune",
    "Wanted",
]

Recipe.__pydantic_config__ = STRICT  # type: ignore[attr-defined] # how pydantic is told about a plain dataclass

KINDS: dict[str, type] = {
    "data": Data,
    "train": Recipe,
    "evaluate": Evaluate,
    "benchmark": Benchmark,
    "robustness": Robustness,
    "audit": Audit,
    "explain": Explain,
    "register": Register,
    "report": Report,
    "tune": Tune,
    "ray": Ray,
    "repro": Repro,
    "tracking": Tracking,
}
SECTIONS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in KINDS.items()}
