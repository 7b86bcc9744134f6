"""Section `compress` of params.yaml."""

from typing import Any

from pydantic import BaseModel

from neocog.core.constrained_types import ModelName
from neocog.core.validation import STRICT


class Compression(BaseModel):
    """One recipe: the model it starts from, as `<kind>/<name>`, its steps in order, and what the result must reach."""

    model_config = STRICT
    model: ModelName
    steps: list[dict[str, Any]]
    goals: Any  # by the primary metric of the task: params/judged.py
