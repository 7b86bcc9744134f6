"""Section `benchmark` of params.yaml."""

from typing import Annotated

from pydantic import BaseModel, Field

from neocog.core.constrained_types import Batch, Seed
from neocog.core.validation import STRICT


class Benchmark(BaseModel):
    """How bundles are timed."""

    model_config = STRICT
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 30
    batch_size: Batch = 64
    seed: Seed = 0
