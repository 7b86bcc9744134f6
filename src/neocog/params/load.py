"""params.yaml at the door: strict, typed, and cut to what dvc.yaml declares for a stage. Costs milliseconds and no torch.

The whole file is checked whenever any stage starts, so that a typo in the last architecture is found before the first is trained; but a
stage is handed only the sections that its `params` in dvc.yaml names, because those are what DVC watches.
"""

import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from neocog import architectures
from neocog.core import params_yaml
from neocog.core.errors import UserError, nearest
from neocog.core.validation import typed
from neocog.params import block, checks, judged
from neocog.params.sections import (
    SECTIONS,
    Audit,
    Benchmark,
    Compression,
    Data,
    Evaluate,
    Explain,
    Ray,
    Register,
    Report,
    Robustness,
    Tracking,
    Tune,
)
from neocog.tasks import task as tasks
from neocog.tasks.task import Metric
from neocog.training.recipe import KEYS, Recipe
from neocog.tuning.space import Dimension, space

ALL_LEARNS = {"freeze": "none", "unfreeze": "once"}
RAY_ADDRESS = "NEOCOG_RAY_ADDRESS"  # in the environment of a stage, in the place of ray.address: on a node a sweep takes that node alone
UNWATCHED = ("tracking", "ray")  # sections that change no output: every stage may read them, none depends on them


class Params:
    """The sections that one stage declares; asking for another one is an error, since DVC would not watch it."""

    data: Data
    train: Recipe
    evaluate: Evaluate
    benchmark: Benchmark
    robustness: Robustness
    audit: Audit
    explain: Explain
    register: Register
    report: Report
    tune: Tune
    ray: Ray
    tracking: Tracking

    def __init__(self, stage: str, raw: Mapping[str, Any], *, task: str | None = None) -> None:
        self.stage, self.raw = stage, raw
        self.task = task or judged.task_of(raw)

    def __getattr__(self, section: str) -> Any:
        if section not in SECTIONS:
            raise AttributeError(section)
        if section not in self.raw:
            raise LookupError(
                f"stage {self.stage} reads `{section}` from params.yaml but does not declare it in dvc.yaml"
            )
        adapter = judged.register(self.metric) if section == "register" else SECTIONS[section]
        return typed(adapter, section, self.raw[section])

    @property
    def metric(self) -> Metric:
        """The primary metric of the data's task."""
        return tasks.task(self.task).primary

    def space(self, name: str) -> dict[str, Dimension]:
        """What the sweep of a block may choose."""
        return space(self.raw["tune"].get("space", {}).get(name, {}), where=f"tune.space.{name}")

    @cached_property
    def architectures(self) -> list[str]:
        """Names of the declared architecture blocks, in the order of params.yaml."""
        return list(self.raw.get("architectures", {}))

    def architecture(self, name: str) -> str:
        """The architecture of a block."""
        return block.architecture(name, self.raw["architectures"][name])

    def recipe(self, name: str) -> Recipe:
        """`train`, with what its block overrides."""
        own = {key: value for key, value in self.raw["architectures"][name].items() if key in KEYS}
        merged = {**self.raw["train"], **own}
        return cast(Recipe, typed(SECTIONS["train"], f"architectures.{name}", merged, shown=own))

    def seeds(self, name: str) -> list[int]:
        """The seeds with which a block is trained; the first makes the bundle that everything downstream reads."""
        first = self.recipe(name).seed
        return list(range(first, first + self.raw["architectures"][name].get("seeds", 1)))

    def compression(self, recipe: str) -> Compression:
        """The block of a recipe."""
        return cast(
            Compression, typed(judged.compression(self.metric), f"compress.{recipe}", self.raw["compress"][recipe])
        )

    @staticmethod
    def recovery(step: Mapping[str, Any], parent: Mapping[str, Any], *, where: str) -> Recipe:
        """How a step trains: as its `parent` was trained, with what the step's `train` block overrides; but all of the network learns."""
        own = {} if step.get("train") is None else step["train"]
        if not isinstance(own, dict):
            raise UserError(
                f"params.yaml: {where}.train (={own!r}) must be a block of keys of `train`; write {{}} for the parent's"
            )
        return cast(Recipe, typed(SECTIONS["train"], f"{where}.train", {**parent, **ALL_LEARNS, **own}, shown=own))

    def sizes(self, name: str) -> dict[str, Any]:
        """What shapes the network of a block: what the block sets, and the defaults of the rest."""
        return architectures.sizes(self.architecture(name), self.raw["architectures"][name])

    @property
    def models(self) -> list[Path]:
        """The bundles of all declared blocks: trained, then tuned, then compressed."""
        names = {
            "trained": self.architectures,
            "tuned": self.raw.get("tune", {}).get("architectures", []),
            "compressed": list(self.raw.get("compress", {})),
        }
        return [Path("models") / kind / name for kind in names for name in names[kind]]

    def resolved(self) -> dict[str, Any]:
        """All that the stage saw, as plain values."""
        return json.loads(json.dumps(self.raw))


def for_stage(stage: str, *, folder: Path | str = ".") -> Params:
    """The params of `train@resnet`, checked and cut to what dvc.yaml declares for it. Raises UserError (exit 2)."""
    folder = Path(folder)
    raw = params_yaml.read(folder / "params.yaml")
    checks.sections(raw)
    checks.check(Params("params.yaml", raw))
    cut: dict[str, Any] = {section: raw[section] for section in UNWATCHED}
    if RAY_ADDRESS in os.environ:
        cut["ray"] = {**cut["ray"], "address": os.environ[RAY_ADDRESS]}
    for path in _declared(folder / "dvc.yaml", stage):
        *steps, last = path.split(".")
        source, target = raw, cut
        for step in steps:
            source, target = source.get(step, {}), target.setdefault(step, {})
        if last in source:
            target[last] = source[last]
        elif steps in (["architectures"], ["compress"]):  # elsewhere the defaults hold
            raise UserError(f"params.yaml: {path} is not there; {nearest(last, source)}")
    return Params(stage, cut, task=judged.task_of(raw))


def _declared(path: Path, stage: str) -> list[str]:
    base, _, item = stage.partition("@")
    try:
        body = params_yaml.read(path)["stages"][base]
    except KeyError:
        raise UserError(f"dvc.yaml: there is no stage {base!r}") from None
    names = body.get("do", body).get("params", [])
    return [str(name).replace("${key}", item).replace("${item}", item) for name in names]


def recipe_of(name: str | None, *, folder: Path | str = ".") -> Recipe:
    """How the block `name` of params.yaml in `folder` is trained, or `train` itself; all of it is checked. Raises UserError."""
    raw = params_yaml.read(Path(folder) / "params.yaml")
    checks.sections(raw)
    params = Params("params.yaml", raw)
    checks.check(params)
    if name is None:
        return params.train
    if name not in params.architectures:
        raise UserError(f"params.yaml: architectures.{name} is not there; {nearest(name, params.architectures)}")
    return params.recipe(name)
