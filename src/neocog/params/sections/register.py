"""Section `register` of params.yaml."""

from typing import Annotated

from pydantic import BaseModel, Field

from neocog.core.constrained_types import Bytes, Positive
from neocog.core.validation import STRICT


class Wanted(BaseModel):
    """What a model must be to be registered, beside its score; None = not asked for. Measured by `benchmark`."""

    model_config = STRICT
    max_latency_ms: Positive | None = None
    max_bytes: Bytes | None = None


class Register(BaseModel):
    """Which model becomes `models:/<name>@champion`: of those that meet the goals, the best by `prefer`."""

    model_config = STRICT
    name: Annotated[str, Field(min_length=1, pattern="^[^/:]*$")] = "neocog"  # as MLflow wants it
    prefer: str  # by default the primary metric of the task: params/judged.py
    goals: Wanted
