"""Parity check: a graph is shipped only if it answers real images as the trained network does."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from neocog.bundle import export as graphs
from neocog.bundle.export import Deployed
from neocog.bundle.read import GRAPH
from neocog.bundle.session import outputs, session
from neocog.core.errors import NeocogError
from neocog.data.prepared import Prepared
from neocog.tasks.task import Task

IMAGES = 1024  # of the val split, on which graph and network must agree
MIN_AGREEMENT = (
    0.999  # mean over the images of the task's agreement; what the allowed error can change counts as agreed
)
MAX_ERROR = 1e-3  # largest difference of an output, relative to the spread of all


class ParityError(NeocogError):
    """The graph does not do what the network does; no bundle is written."""


@dataclass(frozen=True)
class Proof:
    """A graph and how well it agreed: the `parity` entry of a bundle's card."""

    graph: onnx.ModelProto
    parity: Mapping[str, Any]


def prove(network: nn.Module, data: Prepared) -> Proof:
    """Export `network`, trained on `data`, and hold the graph against it. Raises ParityError when they differ."""
    images = data.split("val").images[:IMAGES]
    deployed = Deployed(network, mean=data.mean, std=data.std, task=data.task).eval()
    with tempfile.TemporaryDirectory(prefix="neocog-") as folder:
        path = Path(folder) / GRAPH
        graphs.export(deployed, path, images=images)
        return Proof(parity=check(deployed, path, images), graph=onnx.load(path))


def check(deployed: Deployed, graph: Path, images: np.ndarray) -> dict[str, Any]:
    """Compare `graph` in ONNX Runtime with `deployed` in PyTorch on images uint8 [N, H, W, C]; raises ParityError when they differ.

    Returns `images`, `<primary metric>_agreement` (top1_agreement: the share of images) and `relative_error`, as `compare` finds them.
    """
    with torch.inference_mode():
        expected = np.concatenate([_first(deployed(torch.from_numpy(part))) for part in _parts(images)])
    agreement, error = compare(expected, outputs(session(graph), images), task=deployed.task)
    if not (agreement >= MIN_AGREEMENT and error <= MAX_ERROR):  # NaN fails too
        raise ParityError(
            f"the ONNX graph and the PyTorch network differ on {len(images)} real images: "
            f"{deployed.task.primary.heading} agreement {agreement:.4f} (at least {MIN_AGREEMENT}), "
            f"relative error of the outputs {error:.2e} (at most {MAX_ERROR:.0e}); no bundle was written"
        )
    return entry(len(images), agreement, error, task=deployed.task)


def compare(expected: np.ndarray, answered: np.ndarray, *, task: Task) -> tuple[float, float]:
    """Of outputs [N, ...]: the mean agreement by the `task`, and the largest difference of an output over the standard deviation of all.

    What is nearer to another answer than the allowed error may be answered either way: of few images, one is a large share.
    """
    spread = max(float(expected.std()), 1e-12)
    alike = task.metrics.agreement(expected, answered, slack=2 * MAX_ERROR * spread)
    return float(alike.mean()), _difference(expected, answered, task=task) / spread


def _difference(expected: np.ndarray, answered: np.ndarray, *, task: Task) -> float:
    """The largest difference of an output; where outputs have no fixed order, as the task says."""
    own = getattr(task.metrics, "difference", None)
    return float(own(expected, answered) if own else np.abs(expected - answered).max())


def _first(outputs: Any) -> np.ndarray:
    """The first of several outputs, by which models are judged."""
    first: np.ndarray = (outputs[0] if isinstance(outputs, tuple) else outputs).numpy()
    return first


def entry(images: int, agreement: float, error: float, *, task: Task) -> dict[str, Any]:
    """The `parity` entry of a card."""
    return {
        "images": images,
        f"{task.primary.name}_agreement": agreement,
        "relative_error": float(f"{error:.2e}"),
    }


def _parts(images: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(images[start : start + 256]) for start in range(0, len(images), 256)]
