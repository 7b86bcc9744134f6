"""What each section of params.yaml may hold: strict and typed; the names are the sections'."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, model_validator

from neocog.compression.chain.goals import Goals
from neocog.limits import LARGEST_IMAGE, AtLeast1, Count, Fraction, NonNegative, Positive
from neocog.training.recipe import Recipe
from neocog.tuning.space import Method, Scheduler, Spec
from neocog.typed import STRICT


class Data(BaseModel):
    """Where images come from and what `prepare` makes of them."""

    model_config = STRICT
    source: Literal["fashion_mnist", "digits", "folder"] = "fashion_mnist"
    root: Annotated[str, Field(min_length=1)] = "data/raw"
    size: Annotated[int, Field(ge=4, le=LARGEST_IMAGE)] | None = None
    channels: Literal[1, 3] | None = None
    resize: Literal["crop", "pad", "stretch"] = "crop"
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 1 / 12
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    on_bad: Literal["quarantine", "stop"] = "quarantine"
    groups: str | None = None
    max_pixels: AtLeast1 = 50_000_000
    workers: Count = 0

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> "Data":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"val_fraction (={self.val_fraction}) + test_fraction (={self.test_fraction}) must stay below 1, "
                "or nothing is left to train on"
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
                f"groups (={self.groups!r}) must lie inside root (={self.root!r}), or DVC does not see it change"
            )
        return self


class Evaluate(BaseModel):
    """How bundles are judged."""

    model_config = STRICT
    bootstrap: AtLeast1 = 1000
    bins: AtLeast1 = 15
    batch_size: AtLeast1 = 256
    seed: Count = 0


class Robustness(BaseModel):
    """How bundles are tried on spoilt images."""

    model_config = STRICT
    images: AtLeast1 = 400
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)] = [1, 2, 3, 4, 5]
    baseline: str | None = None
    seed: Count = 0


class Audit(BaseModel):
    """How labels and splits are looked over, and how many of each finding the page shows as pictures."""

    model_config = STRICT
    model: Annotated[str, Field(min_length=1)] = "best"
    train: bool = False
    within: NonNegative = 10.0
    images: Annotated[int, Field(ge=0, le=64)] = 24
    duplicates: Annotated[int, Field(ge=0, le=64)] = 24


class Explain(BaseModel):
    """How many images of each kind are explained."""

    model_config = STRICT
    images: Annotated[int, Field(ge=1, le=16)] = 4


class Benchmark(BaseModel):
    """How bundles are timed."""

    model_config = STRICT
    rounds: AtLeast1 = 30
    batch_size: AtLeast1 = 64
    seed: Count = 0


class Wanted(BaseModel):
    """What a model must be to be registered; None = not asked for. Measured on the test images and by `benchmark`."""

    model_config = STRICT
    min_top1: Fraction | None = None
    max_latency_ms: Positive | None = None
    max_bytes: AtLeast1 | None = None


class Register(BaseModel):
    """Which model becomes `models:/<name>@champion`: of those that meet the goals, the best by `prefer`."""

    model_config = STRICT
    name: Annotated[str, Field(min_length=1)] = "neocog"
    prefer: Literal["top1", "latency", "size"] = "top1"
    goals: Wanted = Wanted()


class Report(BaseModel):
    """What the page shows."""

    model_config = STRICT
    mistakes: Count = 24


class Tune(BaseModel):
    """How hyper-parameters are searched. Each architecture gets the same budget: `trials` of at most `epochs`."""

    model_config = STRICT
    architectures: list[str] = []
    trials: AtLeast1 = 8
    epochs: AtLeast1 = 3
    images: AtLeast1 | None = None
    searcher: Method = "random"
    scheduler: Scheduler = "asha"
    finalists: AtLeast1 = 1
    seeds: AtLeast1 = 1
    seed: Count = 0
    space: dict[str, dict[str, Spec]] = {}


class Compression(BaseModel):
    """One recipe: the model it starts from, as `<kind>/<name>`, its steps in order, and what the result must reach."""

    model_config = STRICT
    model: str
    steps: list[dict[str, Any]]
    goals: Goals = Goals()


class Ray(BaseModel):
    """Where trials run, and what each may use. No stage depends on it."""

    model_config = STRICT
    address: Annotated[str, Field(min_length=1)] = "local"
    cpus_per_trial: Positive = 1.0
    gpus_per_trial: NonNegative = 0.0
    resources_per_trial: dict[str, Positive] = {}
    processes_per_trial: AtLeast1 = 1
    trials_at_once: Count = 0
    storage_path: str | None = None
    runtime_env: dict[str, Any] = {}

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

SECTIONS: dict[str, TypeAdapter[Any]] = {
    "data": TypeAdapter(Data),
    "train": TypeAdapter(Recipe),
    "evaluate": TypeAdapter(Evaluate),
    "benchmark": TypeAdapter(Benchmark),
    "robustness": TypeAdapter(Robustness),
    "audit": TypeAdapter(Audit),
    "explain": TypeAdapter(Explain),
    "register": TypeAdapter(Register),
    "report": TypeAdapter(Report),
    "tune": TypeAdapter(Tune),
    "ray": TypeAdapter(Ray),
    "tracking": TypeAdapter(Tracking),
}
COMPRESSION = TypeAdapter(Compression)  # of each block under `compress`
