"""The graph of a network, proven on real images to do what the network does."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from neocog.bundle import export as graphs
from neocog.bundle import parity
from neocog.bundle.read import GRAPH
from neocog.data.prepared import Prepared

IMAGES = 1024  # of the val split, on which graph and network must agree


@dataclass(frozen=True)
class Proof:
    """A graph and how well it agreed: the `parity` entry of a bundle's card."""

    graph: onnx.ModelProto
    parity: Mapping[str, Any]


def prove(network: nn.Module, data: Prepared) -> Proof:
    """Export `network`, trained on `data`, and hold the graph against it. Raises ParityError when they differ."""
    images = data.split("val").images[:IMAGES]
    deployed = graphs.Deployed(network, mean=data.mean, std=data.std).eval()
    with tempfile.TemporaryDirectory(prefix="neocog-") as folder:
        path = Path(folder) / GRAPH
        graphs.export(deployed, path, images=images)
        return Proof(parity=parity.check(deployed, path, images), graph=onnx.load(path))
