"""Section `data` of params.yaml."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from neocog.core.constrained_types import LARGEST_IMAGE, Processes
from neocog.core.validation import STRICT
from neocog.tasks import task as tasks

Side = Annotated[int, Field(ge=4, le=LARGEST_IMAGE)]


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
    size: Side | list[Side] | None = None  # the side of squares, or [height, width]
    channels: Literal[1, 3] | None = None
    resize: Literal["crop", "pad", "stretch"] = "crop"
    interpolation: Literal["bicubic", "bilinear", "box", "hamming", "lanczos", "nearest"] = "bicubic"
    background: str = "white"
    bits: Annotated[int, Field(ge=8, le=16)] = 16
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 1 / 12
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    splits: str | None = None
    split_by: Annotated[str, Field(min_length=1)] | None = None
    small_classes: Literal["stop", "drop", "keep"] = "stop"
    min_images: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    on_bad: Literal["quarantine", "stop"] = "quarantine"
    table: str | None = None
    label: Annotated[str, Field(min_length=1)] = "label"
    groups: str | None = None
    max_pixels: Annotated[int, Field(ge=1, le=2**31 - 1)] = 50_000_000
    workers: Processes = 0
    store: Literal["packed", "encoded", "referenced"] = "packed"

    @field_validator("size", mode="before")
    @classmethod
    def _a_side_or_both(cls, value: object) -> object:
        if isinstance(value, list) and not (
            len(value) == 2 and all(isinstance(side, int) and 4 <= side <= LARGEST_IMAGE for side in value)
        ):
            raise ValueError(
                f"size (={value!r}) is no [height, width] of 4 to {LARGEST_IMAGE} pixels; write 224, or [180, 320]"
            )
        return value

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
        if "://" in self.root:
            raise ValueError(
                f"root (={self.root!r}) is an address; name its tars in a file data/raw/shards.txt, one address a line, and set "
                "root: data/raw, source: webdataset"
            )
        if self.root.startswith("~"):
            raise ValueError(f"root (={self.root!r}): DVC knows no ~; write the folder's whole path")
        if prepared.is_relative_to(root) or root.is_relative_to(prepared):
            raise ValueError(
                f"root (={self.root!r}) and data/prepared, which is written, must not lie in each other; "
                "name the folder of the images alone"
            )
        for key in ("table", "groups", "splits"):
            file = getattr(self, key)
            if file is not None and not Path(file).parent.resolve().is_relative_to(root):
                raise ValueError(
                    f"{key} (={file!r}) must lie inside root (={self.root!r}), or DVC does not see it change; "
                    f"put it there and set {key}: {Path(self.root) / Path(file).name}"
                )
        return self
