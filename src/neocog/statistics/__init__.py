"""Statistics over plain arrays: confidence intervals, paired tests, slices. No torch, nothing of images."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Weights = (
    NDArray[np.int64] | None
)  # how often each of [N] images counts, as in a bootstrap resample; None counts each once
