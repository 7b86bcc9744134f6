"""Constrained types: `lr: Positive` is validated when params are loaded and documents itself; so are names of blocks and models."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

MOST = 1_000_000  # of what is no count of images or bytes: more is a slip of the pen
Positive = Annotated[float, Gt(0), Le(MOST)]
NonNegative = Annotated[float, Ge(0), Le(MOST)]
Fraction = Annotated[float, Ge(0), Le(1)]
Decay = Annotated[float, Gt(0), Le(1)]
Below1 = Annotated[float, Ge(0), Lt(1)]
Scale = Annotated[float, Gt(0), Le(20)]  # what a width or a depth is multiplied by
Count = Annotated[int, Ge(0), Le(MOST)]
AtLeast1 = Annotated[int, Ge(1), Le(MOST)]
Depth = Annotated[int, Ge(1), Le(1000)]  # layers, or blocks of them
Images = Annotated[int, Ge(1), Le(1_000_000_000)]
Batch = Annotated[int, Ge(1), Le(65_536)]  # images that a graph is asked about at once
Bytes = Annotated[int, Ge(1), Le(2**50)]
Processes = Annotated[int, Ge(0), Le(1024)]  # or threads; 0 = as many as fit
Devices = Annotated[int, Ge(1), Le(1024)]
LAST_SEED = 2**32 - 1
Seed = Annotated[int, Ge(0), Le(LAST_SEED)]  # what NumPy, scikit-learn and Optuna take
LARGEST_IMAGE = 1024  # pixels a side
Pixels = Annotated[int, Ge(0), Le(LARGEST_IMAGE)]  # a side, or a shift


@dataclass(frozen=True)
class Names:
    """Marks text that names another part of params.yaml, so that it is checked to be there; `other`: what it may be besides."""

    what: Literal["block", "model", "model folder"]
    other: tuple[str, ...] = ()


BlockName = Annotated[str, Names("block")]  # of architectures
ModelName = Annotated[str, Names("model")]  # trained/resnet
ModelFolder = Annotated[str, Names("model folder")]  # models/trained/resnet
ModelOrBest = Annotated[str, Names("model", other=("best",))]
