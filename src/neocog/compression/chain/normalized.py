"""Images as a network takes them, for methods that show it some."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neocog.data.augment import normalize
from neocog.data.prepared import Prepared


def normalized(images: np.ndarray[Any, Any], data: Prepared) -> Tensor:
    """Images uint8 [N, H, W, C] of `data` -> float [N, C, H, W]."""
    mean, std = (torch.tensor(each) * 255 for each in (data.mean, data.std))
    return normalize(torch.from_numpy(images.copy()), mean=mean, std=std).contiguous()
