"""Section `tracking` of params.yaml."""

from typing import Annotated

from pydantic import BaseModel, Field

from neocog.core.validation import STRICT


class Tracking(BaseModel):
    """Where runs are logged. No stage depends on it: it changes no output."""

    model_config = STRICT
    experiment: Annotated[str, Field(min_length=1)] = "neocog"
