"""Explanations: maps of the pixels that an answer depends on. One file, one method; the folder is the registry.

A file has `PAPER`, `SIGNED` (whether a map also says what spoke against the class), `maps(model, images, targets) -> [N, H, W]` and
`missing(model, images) -> str`: why the method does not apply to a model, in half a sentence; empty where it does.
images: normalized float [N, C, H, W]; targets: the outputs to explain, int64 [N].
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neocog.core.errors import UserError, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from neocog.bundle.read import Bundle

NOT_METHODS = ("__init__", "gallery", "poster")
PIXELS = 512 * 28 * 28  # of all images of a batch: what was measured to be fast at 28 px; 8 images at 224 px


def names() -> list[str]:
    """All methods."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_METHODS)


def method(name: str) -> Any:
    """The module of a method. Raises UserError for an unknown one."""
    if name not in names():
        raise UserError(f"--method {name}: there is none of that name; {nearest(name, names())}")
    return import_module(f"neocog.inspect.explain.{name}")


def network(bundle: "Bundle") -> "nn.Module":
    """The bundle as a network with gradients; a quantized one has none, and is its graph."""
    from neocog.bundle.rebuild import GraphNetwork, rebuild

    if "integer" in bundle.card.get("parity", {}):
        return GraphNetwork(bundle, mean=_pixels(bundle, "mean"), std=_pixels(bundle, "std"))
    return rebuild(bundle)


def inputs(bundle: "Bundle", images: "NDArray[np.uint8]") -> "Tensor":
    """Normalize packed images uint8 [N, H, W, C] for the bundle's network: float [N, C, H, W]."""
    import torch

    from neocog.data.augment import normalize

    mean, std = _pixels(bundle, "mean"), _pixels(bundle, "std")
    return normalize(torch.from_numpy(images.copy()), mean=mean, std=std).contiguous()


def batch_size(images: "Tensor") -> int:
    """Images [N, C, H, W] that go through a network at once when gradients are kept, bounded by pixels; one at least."""
    return int(max(1, PIXELS // (images.shape[2] * images.shape[3])))


def _pixels(bundle: "Bundle", what: str) -> "Tensor":
    """`mean` or `std` [C] of the bundle's training images, in the pixel scale 0..255."""
    import torch

    return torch.tensor(bundle.card["preprocessing"][what]) * 255
