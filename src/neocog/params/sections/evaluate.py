"""Section `evaluate` of params.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from neocog.core.constrained_types import Batch, Seed
from neocog.core.validation import STRICT


class Evaluate(BaseModel):
    """How bundles are judged."""

    model_config = STRICT
    bootstrap: Annotated[int, Field(ge=1, le=100_000)] = 1000
    bins: Annotated[int, Field(ge=1, le=1000)] = 15
    batch_size: Batch = 256
    seed: Seed = 0
    tta: Literal["none", "flip", "flip_shift"] = "none"
