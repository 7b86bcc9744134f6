"""Section `repro` of params.yaml."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from neocog.core.validation import STRICT


class Repro(BaseModel):
    """How `neocog repro` shares out the machine. No stage depends on it: it changes no output."""

    model_config = STRICT
    jobs: Annotated[int, Field(ge=0, le=1024)] = 0
    watts_per_core: Annotated[float, Field(gt=0, le=1000)] = 10.0
    resources: dict[str, dict[str, Any]] = {}
    wait_for_nodes: Annotated[float, Field(ge=0, le=86400)] = 0.0
