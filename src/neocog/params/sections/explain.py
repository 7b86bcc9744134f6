"""Section `explain` of params.yaml."""

from typing import Annotated

from pydantic import BaseModel, Field

from neocog.core.validation import STRICT


class Explain(BaseModel):
    """How many images of each kind are explained."""

    model_config = STRICT
    images: Annotated[int, Field(ge=1, le=16)] = 4
