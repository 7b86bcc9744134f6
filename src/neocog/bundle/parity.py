"""The gate: what is shipped must be what was trained."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from neocog.core.errors import NeocogError

MIN_AGREEMENT = (
    0.999  # share of images on which the loudest class is the same, or was tied within the error that is allowed
)
MAX_ERROR = 1e-3  # largest difference of a logit, relative to the spread of the image's logits


class ParityError(NeocogError):
    """The graph does not do what the network does; no bundle is written."""


def check(deployed: nn.Module, graph: Path, images: np.ndarray) -> dict[str, Any]:
    """Compare `graph` in ONNX Runtime with `deployed` in PyTorch on images uint8 [N, H, W, C]; raises ParityError when they differ.

    Returns `images`, `top1_agreement` (share) and `relative_error` (largest difference of a logit over the standard deviation of all).
    """
    with torch.inference_mode():
        expected = np.concatenate([deployed(torch.from_numpy(part)).numpy() for part in _parts(images)])
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    answered = np.concatenate([session.run(["logits"], {"images": part})[0] for part in _parts(images)])
    agreement, error = compare(expected, answered)
    if not (agreement >= MIN_AGREEMENT and error <= MAX_ERROR):  # NaN fails too
        raise ParityError(
            f"the ONNX graph and the PyTorch network differ on {len(images)} real images: "
            f"top-1 agreement {agreement:.4f} (at least {MIN_AGREEMENT}), "
            f"relative logit error {error:.2e} (at most {MAX_ERROR:.0e}); no bundle was written"
        )
    return {"images": len(images), "top1_agreement": agreement, "relative_error": float(f"{error:.2e}")}


def compare(expected: np.ndarray, answered: np.ndarray) -> tuple[float, float]:
    """Of logits [N, K]: the share of images answered alike, and the largest difference of a logit over the standard deviation of all.

    An image whose two best logits are nearer than the allowed error can move them may be answered either way: of few images, one is a
    large share.
    """
    spread = max(float(expected.std()), 1e-12)
    first, second = expected.argmax(1), answered.argmax(1)
    rows = np.arange(len(expected))
    margin = expected[rows, first] - expected[rows, second]
    alike = (first == second) | (margin <= 2 * MAX_ERROR * spread)
    return float(alike.mean()), float(np.abs(expected - answered).max() / spread)


def _parts(images: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(images[start : start + 256]) for start in range(0, len(images), 256)]
