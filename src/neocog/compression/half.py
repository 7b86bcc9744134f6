"""Half precision: every float of the graph in 16 bits.

Micikevicius, P. et al. (2018). Mixed precision training. ICLR. arXiv:1710.03740.

Half the bytes, and nothing to calibrate. Weights are stored in 16 bits and widened to 32 where they are used, since a processor's float
kernels calculate in 32: the runtime widens them once, when it loads the graph, so that running takes as long as before.
"""

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from neocog.compression.chain.candidate import Candidate
from neocog.core.constrained_types import AtLeast1
from neocog.data.prepared import Prepared

IDEA = "Stores weights in 16 bits"
COST = "The fourth digit of the logits; no time is gained on a CPU"
PAPER = "Micikevicius et al. 2018, arXiv:1710.03740"
ON = "graph"
TRAINS = "never"
LARGEST = 65504.0  # that half precision holds


def apply(candidate: Candidate, data: Prepared, *, smallest: AtLeast1 = 64) -> Candidate:
    """Store every float tensor of `smallest` or more elements in half precision."""
    graph = onnx.ModelProto()
    graph.CopyFrom(candidate.exported(data))
    widened = []
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.size >= smallest and np.abs(values).max() < LARGEST:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            widened.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*widened, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return replace(candidate, graph=graph)
