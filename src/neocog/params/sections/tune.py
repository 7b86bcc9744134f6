"""Section `tune` of params.yaml."""

from typing import Annotated

from pydantic import BaseModel, Field

from neocog.core.constrained_types import AtLeast1, BlockName, Images, Seed
from neocog.core.validation import STRICT
from neocog.tuning.space import MOST_TRIALS, Method, Scheduler, Spec


class Tune(BaseModel):
    """How hyper-parameters are searched. Each architecture gets the same budget: `trials` of at most `epochs`."""

    model_config = STRICT
    architectures: list[BlockName] = []
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = 8
    epochs: AtLeast1 = 3
    images: Images | None = None
    searcher: Method = "random"
    scheduler: Scheduler = "asha"
    finalists: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = 1
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    seed: Seed = 0
    space: dict[BlockName, dict[str, Spec]] = {}
