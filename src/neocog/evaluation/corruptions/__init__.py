"""Image corruptions of ImageNet-C: the 15 of Hendrycks & Dietterich, one file a family."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.floating]  # [N, H, W, C], 0 to 1
Strengths = dict[
    str, dict[str, tuple[tuple[Any, ...], ...]]
]  # corruption -> suite -> arguments of its function, by severity
