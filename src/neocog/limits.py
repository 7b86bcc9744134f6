"""Numbers with limits, as types: `lr: Positive` is checked at the door and documents itself."""

from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
Below1 = Annotated[float, Ge(0), Lt(1)]
Count = Annotated[int, Ge(0)]
AtLeast1 = Annotated[int, Ge(1)]
LARGEST_IMAGE = 1024  # pixels a side
