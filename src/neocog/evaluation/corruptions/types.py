"""What a family of corruptions works on, and how it tells its strengths."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.floating]  # [N, H, W, C], 0 to 1
Strengths = dict[
    str, dict[str, tuple[tuple[Any, ...], ...]]
]  # corruption -> suite -> what its function takes, by severity
