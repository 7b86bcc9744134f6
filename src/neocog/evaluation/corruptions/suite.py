"""All 15 corruptions in the order of the paper, each at five severities, for images of any size.

Hendrycks, D. & Dietterich, T. (2019). Benchmarking neural network robustness to common corruptions and perturbations. ICLR.
arXiv:1903.12261. Strengths are those that its authors published: of CIFAR-10-C (made for 32 px) below 64 px, of Tiny ImageNet-C (64 px)
below 128 px, of ImageNet-C (224 px) above. What is measured in pixels there is as many pixels here.
"""

from collections.abc import Mapping
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from neocog.core.errors import UserError, nearest
from neocog.evaluation.corruptions import blur, digital, noise, weather

FAMILIES: Mapping[str, ModuleType] = {"noise": noise, "blur": blur, "weather": weather, "digital": digital}
CORRUPTIONS = {name: family for family, module in FAMILIES.items() for name in module.STRENGTHS}
SEVERITIES = (1, 2, 3, 4, 5)
SUITES = ((64, "cifar10"), (128, "tiny_imagenet"))  # for sides below so many pixels
BLOCK = 1 << 24  # values handled at a time

Images = NDArray[np.uint8]


def corrupt(images: Images, name: str, *, severity: int, seed: int = 0) -> Images:
    """Images uint8 [N, H, W, C] of 1 (gray) or 3 (RGB) channels, each corrupted in a way of its own; the same seed corrupts them alike.

    Raises UserError for a corruption or severity that is not there, and for other channels.
    """
    if name not in CORRUPTIONS:
        raise UserError(f"corruption (={name!r}) does not exist; {nearest(name, CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise UserError(f"severity (={severity}) must be one of {', '.join(map(str, SEVERITIES))}")
    if images.shape[3] not in (1, 3):
        raise UserError(f"channels (={images.shape[3]}) must be 1 (gray) or 3 (RGB) to be corrupted")
    module = FAMILIES[CORRUPTIONS[name]]
    strength = module.STRENGTHS[name][suite(min(images.shape[1:3]))][severity - 1]
    draw = np.random.default_rng([seed, list(CORRUPTIONS).index(name), severity])
    step = max(1, BLOCK // int(np.prod(images.shape[1:])))
    corrupted = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), step):
        pixels = images[start : start + step].astype(np.float32) / np.float32(255)
        found = getattr(module, name)(pixels, draw, *strength)
        corrupted[start : start + step] = np.rint(np.clip(found, 0, 1) * 255)
    return corrupted


def suite(side: int) -> str:
    """Whose strengths hold for images of so many pixels a side."""
    return next((name for below, name in SUITES if side < below), "imagenet")
