"""A model on its way through a recipe."""

import copy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from neocog.bundle import onnx as graphs
from neocog.bundle import parity
from neocog.bundle.read import GRAPH, Bundle
from neocog.bundle.rebuild import rebuild
from neocog.data.prepared import Prepared

PARITY_IMAGES = 1024


@dataclass(frozen=True)
class Candidate:
    """What the steps so far have made of the bundle `parent`. Methods return a new one and leave this as it is.

    `network` is float, on the CPU, in evaluation mode. `graph` is what a step has made of its ONNX graph; None while that is the network's
    own. `sparse` says that its zeros were put there by pruning and must survive every later training.
    """

    parent: Bundle
    architecture: str
    sizes: Mapping[str, Any]
    network: nn.Module
    graph: onnx.ModelProto | None = None
    sparse: bool = False

    def changed(self, network: nn.Module, **other: Any) -> "Candidate":
        """This candidate with another network."""
        assert self.graph is None, "nothing changes a network whose graph has gone its own way"
        return replace(self, network=network.eval(), **other)

    def copied(self) -> nn.Module:
        """A network of its own, to be changed in place."""
        return copy.deepcopy(self.network)

    def exported(self, data: Prepared) -> onnx.ModelProto:
        """The graph of the network, held against it on real images. Raises ParityError."""
        images = data.split("val").images[:PARITY_IMAGES]
        deployed = graphs.Deployed(self.network, mean=data.mean, std=data.std).eval()
        with tempfile.TemporaryDirectory(prefix="neocog-") as folder:
            path = Path(folder) / GRAPH
            graphs.export(deployed, path, images=images)
            parity.check(deployed, path, images)
            return onnx.load(path)


def begin(parent: Bundle) -> Candidate:
    """The candidate that a recipe for `parent` begins with."""
    return Candidate(
        parent=parent,
        architecture=parent.architecture,
        sizes=parent.card["build"]["sizes"],
        network=rebuild(parent),
    )
