"""Section `report` of params.yaml."""

from typing import Annotated

from pydantic import BaseModel, Field

from neocog.core.validation import STRICT


class Report(BaseModel):
    """What the page shows."""

    model_config = STRICT
    mistakes: Annotated[int, Field(ge=0, le=1000)] = 24
