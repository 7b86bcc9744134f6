"""A model on its way through a recipe."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import onnx
from torch import nn

from neocog.bundle.proof import Proof, prove
from neocog.bundle.read import GRAPH, Bundle
from neocog.bundle.rebuild import rebuild
from neocog.data.prepared import Prepared


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
    proofs: list[Proof] = field(
        default_factory=list, repr=False, compare=False
    )  # of this network, once it was exported

    def changed(self, network: nn.Module, **other: Any) -> "Candidate":
        """This candidate with another network."""
        assert self.graph is None, "nothing changes a network whose graph has gone its own way"
        return replace(self, network=network.eval(), proofs=[], **other)

    def copied(self) -> nn.Module:
        """A network of its own, to be changed in place."""
        return copy.deepcopy(self.network)

    def proof(self, data: Prepared) -> Proof:
        """The network's own graph, exported and held against it on real images, once. Raises ParityError."""
        if not self.proofs:
            self.proofs.append(prove(self.network, data))
        return self.proofs[0]

    def exported(self, data: Prepared) -> onnx.ModelProto:
        """The network's own graph; not to be changed in place."""
        return self.proof(data).graph

    def shipped(self, data: Prepared) -> onnx.ModelProto:
        """The graph that would be shipped now: what a step has made of it, or the network's own."""
        return self.exported(data) if self.graph is None else self.graph


def begin(parent: Bundle) -> Candidate:
    """The candidate that a recipe for `parent` begins with. The parent's graph stands for the network as it did when it was written."""
    own = "integer" not in parent.card["parity"]  # and not one that another recipe rounded
    return Candidate(
        parent=parent,
        architecture=parent.architecture,
        sizes=parent.card["build"]["sizes"],
        network=rebuild(parent),
        proofs=[Proof(onnx.load(parent.folder / GRAPH), parent.card["parity"])] if own else [],
    )
