"""Candidate: a model between the steps of a recipe."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from safetensors import safe_open
from torch import Tensor, nn

from neocog.bundle import sparse
from neocog.bundle.parity import Proof, prove
from neocog.bundle.read import GRAPH, WEIGHTS, Bundle
from neocog.bundle.rebuild import rebuild
from neocog.core.errors import UserError
from neocog.data.augment import normalize
from neocog.data.prepared import Prepared


@dataclass(frozen=True)
class Candidate:
    """What the steps so far have made of the bundle `parent`. Methods return a new one and leave this as it is.

    `network` is float, on the CPU, in evaluation mode. `graph` is what a step has made of its ONNX graph; None while that is the network's
    own. `sparse` says that its zeros were put there by pruning and must survive every later training; `fresh`, that it was never trained.
    """

    parent: Bundle
    architecture: str
    sizes: Mapping[str, Any]
    network: nn.Module
    graph: onnx.ModelProto | None = None
    sparse: bool = False
    fresh: bool = False
    proofs: list[Proof] = field(
        default_factory=list, repr=False, compare=False
    )  # of this network, once it was exported

    def changed(self, network: nn.Module, **other: Any) -> "Candidate":
        """This candidate with another network. Raises UserError when its graph has gone its own way."""
        self.check_graph()
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
        """The network's own graph; not to be changed in place. Raises UserError when another one has taken its place."""
        self.check_graph()
        return self.proof(data).graph

    def shipped(self, data: Prepared) -> onnx.ModelProto:
        """The graph that would be shipped now: what a step has made of it, or the network's own."""
        return self.exported(data) if self.graph is None else self.graph

    def check_graph(self) -> None:
        """Raise UserError unless the graph is the network's own: from then on only what it answers can be changed."""
        if self.graph is not None:
            earlier = self.parent.card["compression"]["parent"] if _has_own_graph(self.parent) else self.parent.model
            raise UserError(
                f"{self.parent.model}: a step has changed its graph, which a step on the network or the graph would undo; "
                f"only a temperature or thresholds may follow. Begin with {earlier}, and put that step before the others"
            )


def begin(parent: Bundle) -> Candidate:
    """The candidate that a recipe for `parent` begins with: its network, and its graph as it was shipped.

    Weights that an earlier recipe packed are those that pruning made sparse.
    """
    graph = onnx.load(parent.folder / GRAPH)
    own = _has_own_graph(parent)
    return Candidate(
        parent=parent,
        architecture=parent.architecture,
        sizes=parent.card["build"]["sizes"],
        network=rebuild(parent),
        graph=graph if own else None,
        sparse=_is_packed(parent.folder / WEIGHTS),
        proofs=[] if own else [Proof(graph, parent.card["parity"])],
    )


def _has_own_graph(bundle: Bundle) -> bool:
    """Whether the graph of a bundle is what a step made of it, and not its network's."""
    return "integer" in bundle.card["parity"]


def _is_packed(weights: Path) -> bool:
    """Whether some weights are written as a bit for each and the values that are not 0."""
    with safe_open(weights, framework="numpy") as file:
        return bool(json.loads((file.metadata() or {}).get(sparse.SHAPES, "{}")))


def normalized(images: np.ndarray[Any, Any], data: Prepared) -> Tensor:
    """Images uint8 [N, H, W, C] of `data` as a network takes them: float [N, C, H, W], normalized."""
    mean, std = (torch.tensor(each) * 255 for each in (data.mean, data.std))
    return normalize(torch.from_numpy(images.copy()), mean=mean, std=std).contiguous()
