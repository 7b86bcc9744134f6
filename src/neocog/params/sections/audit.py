"""Section `audit` of params.yaml."""

from typing import Annotated

from pydantic import BaseModel, Field

from neocog.core.constrained_types import ModelOrBest
from neocog.core.validation import STRICT


class Audit(BaseModel):
    """How labels and splits are looked over, and how many of each finding the page shows as pictures."""

    model_config = STRICT
    model: ModelOrBest = "best"
    train: bool = False
    within: Annotated[float, Field(ge=0, le=255)] = 10.0
    images: Annotated[int, Field(ge=0, le=64)] = 24
    duplicates: Annotated[int, Field(ge=0, le=64)] = 24
