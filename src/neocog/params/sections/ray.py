"""Section `ray` of params.yaml."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator

from neocog.core.constrained_types import Devices, NonNegative, Positive
from neocog.core.validation import STRICT
from neocog.tuning.space import MOST_TRIALS


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
