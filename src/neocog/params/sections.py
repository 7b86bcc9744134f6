"""What each section of params.yaml may hold: strict and typed; the names are the sections'."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from neocog.compression.chain.goals import Goals
from neocog.core.constrained_types import (
    LARGEST_IMAGE,
    AtLeast1,
    BlockName,
    Bytes,
    Devices,
    Fraction,
    Images,
    ModelName,
    ModelOrBest,
    NonNegative,
    Positive,
    Processes,
    Seed,
)
from neocog.core.validation import STRICT
from neocog.tasks import task as tasks
from neocog.training.recipe import Recipe
from neocog.tuning.space import MOST_TRIALS, Method, Scheduler, Spec

Batch = Annotated[int, Field(ge=1, le=65_536)]  # images that a graph is asked about at once


def _chosen(value: str, known: Iterable[str]) -> str:
    """`value`, refused as a Literal refuses it if it is none of `known`."""
    if value not in known:
        raise PydanticCustomError("literal_error", "is none of {expected}", {"expected": ", ".join(known)})
    return value


class Data(BaseModel):
    """Where images come from and what `prepare` makes of them."""

    model_config = STRICT
    task: str = "classification"
    source: str = "fashion_mnist"
    root: Annotated[str, Field(min_length=1)] = "data/raw"
    name: Annotated[str, Field(min_length=1)] | None = None
    size: Annotated[int, Field(ge=4, le=LARGEST_IMAGE)] | None = None
    channels: Literal[1, 3] | None = None
    resize: Literal["crop", "pad", "stretch"] = "crop"
    background: str = "white"
    bits: Annotated[int, Field(ge=8, le=16)] = 16
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 1 / 12
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    on_bad: Literal["quarantine", "stop"] = "quarantine"
    groups: str | None = None
    max_pixels: Annotated[int, Field(ge=1, le=2**31 - 1)] = 50_000_000
    workers: Processes = 0

    @field_validator("task")
    @classmethod
    def _a_task(cls, value: str) -> str:
        return _chosen(value, tasks.names())

    @field_validator("source")
    @classmethod
    def _a_source(cls, value: str, info: ValidationInfo) -> str:
        return _chosen(value, tasks.task(info.data.get("task", "classification")).targets.SOURCES)

    @field_validator("background")
    @classmethod
    def _a_colour(cls, value: str) -> str:
        if not re.fullmatch("white|black|gray|#[0-9a-fA-F]{6}", value):
            raise ValueError(f"{value!r} is no colour; write white, black, gray or, in quotes, '#rrggbb'")
        return value

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> "Data":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"val_fraction (={self.val_fraction}) + test_fraction (={self.test_fraction}) must stay below 1, "
                "or nothing is left to train on; set val_fraction: 0.1 and test_fraction: 0.15"
            )
        return self

    @model_validator(mode="after")
    def _dvc_sees_what_changes(self) -> "Data":
        root, prepared = (Path(path).resolve() for path in (self.root, "data/prepared"))
        if self.root.startswith("~"):
            raise ValueError(f"root (={self.root!r}): DVC knows no ~; write the folder's whole path")
        if prepared.is_relative_to(root) or root.is_relative_to(prepared):
            raise ValueError(
                f"root (={self.root!r}) and data/prepared, which is written, must not lie in each other; "
                "name the folder of the images alone"
            )
        if self.groups is not None and not Path(self.groups).parent.resolve().is_relative_to(root):
            raise ValueError(
                f"groups (={self.groups!r}) must lie inside root (={self.root!r}), or DVC does not see it change; "
                f"put it there and set groups: {Path(self.root) / Path(self.groups).name}"
            )
        return self


class Evaluate(BaseModel):
    """How bundles are judged."""

    model_config = STRICT
    bootstrap: Annotated[int, Field(ge=1, le=100_000)] = 1000
    bins: Annotated[int, Field(ge=1, le=1000)] = 15
    batch_size: Batch = 256
    seed: Seed = 0


class Robustness(BaseModel):
    """How bundles are tried on corrupted images (ImageNet-C)."""

    model_config = STRICT
    images: Images = 400
    megapixels: Positive = 2.0
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)] = [1, 2, 3, 4, 5]
    baseline: ModelName | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _each_severity_once(self) -> "Robustness":
        if (once := sorted(set(self.severities))) != sorted(self.severities):
            raise ValueError(f"severities (={self.severities}) names one twice; set severities: {once}")
        return self


class Audit(BaseModel):
    """How labels and splits are looked over, and how many of each finding the page shows as pictures."""

    model_config = STRICT
    model: ModelOrBest = "best"
    train: bool = False
    within: Annotated[float, Field(ge=0, le=255)] = 10.0
    images: Annotated[int, Field(ge=0, le=64)] = 24
    duplicates: Annotated[int, Field(ge=0, le=64)] = 24


class Explain(BaseModel):
    """How many images of each kind are explained."""

    model_config = STRICT
    images: Annotated[int, Field(ge=1, le=16)] = 4


class Benchmark(BaseModel):
    """How bundles are timed."""

    model_config = STRICT
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 30
    batch_size: Batch = 64
    seed: Seed = 0


class Wanted(BaseModel):
    """What a model must be to be registered; None = not asked for. Measured on the test images and by `benchmark`."""

    model_config = STRICT
    min_top1: Fraction | None = None
    max_latency_ms: Positive | None = None
    max_bytes: Bytes | None = None


class Register(BaseModel):
    """Which model becomes `models:/<name>@champion`: of those that meet the goals, the best by `prefer`."""

    model_config = STRICT
    name: Annotated[str, Field(min_length=1, pattern="^[^/:]*$")] = "neocog"  # as MLflow wants it
    prefer: Literal["top1", "latency", "size"] = "top1"
    goals: Wanted = Wanted()


class Report(BaseModel):
    """What the page shows."""

    model_config = STRICT
    mistakes: Annotated[int, Field(ge=0, le=1000)] = 24


class Tune(BaseModel):
    """How hyper-parameters are searched. Each architecture gets the same budget: `trials` of at most `epochs`."""

    model_config = STRICT
    architectures: list[BlockName] = []
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = 8
    epochs: AtLeast1 = 3
    images: Images | None = None
    searcher: Method = "random"
    scheduler: Scheduler = "asha"
    finalists: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = 1
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    seed: Seed = 0
    space: dict[BlockName, dict[str, Spec]] = {}


class Compression(BaseModel):
    """One recipe: the model it starts from, as `<kind>/<name>`, its steps in order, and what the result must reach."""

    model_config = STRICT
    model: ModelName
    steps: list[dict[str, Any]]
    goals: Goals = Goals()


class Ray(BaseModel):
    """Where trials run, and what each may use. No stage depends on it."""

    model_config = STRICT
    address: Annotated[str, Field(min_length=1)] = "local"
    cpus_per_trial: Positive = 1.0
    gpus_per_trial: NonNegative = 0.0
    resources_per_trial: dict[str, Annotated[float, Field(gt=0, le=2**50)]] = {}
    processes_per_trial: Devices = 1
    trials_at_once: Annotated[int, Field(ge=0, le=MOST_TRIALS)] = 0
    storage_path: str | None = None
    runtime_env: dict[str, Any] = {}

    @model_validator(mode="after")
    def _gpus_are_parts_of_one_or_whole(self) -> "Ray":
        if self.gpus_per_trial > 1 and self.gpus_per_trial != int(self.gpus_per_trial):
            raise ValueError(
                f"gpus_per_trial (={self.gpus_per_trial}) must be a part of one GPU, or a whole number of them; "
                f"set gpus_per_trial: {int(self.gpus_per_trial) + 1}.0"
            )
        return self

    @model_validator(mode="after")
    def _others_can_read_it(self) -> "Ray":
        if self.storage_path and "://" not in self.storage_path and not Path(self.storage_path).is_absolute():
            raise ValueError(
                f"storage_path (={self.storage_path!r}) must mean the same on every machine; write the whole path, or an address such as s3://bucket/folder"
            )
        return self


class Tracking(BaseModel):
    """Where runs are logged. No stage depends on it: it changes no output."""

    model_config = STRICT
    experiment: Annotated[str, Field(min_length=1)] = "neocog"


for _plain in (Recipe, Goals):
    _plain.__pydantic_config__ = STRICT  # type: ignore[union-attr] # how pydantic is told about a plain dataclass

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
    "tracking": Tracking,
}
SECTIONS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in KINDS.items()}
COMPRESSION = TypeAdapter(Compression)  # of each block under `compress`
