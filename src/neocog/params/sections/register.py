"""Section `register` of params.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from neocog.core.constrained_types import Bytes, Fraction, Positive
from neocog.core.validation import STRICT


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
