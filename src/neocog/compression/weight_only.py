"""Weight-only quantization: weights in 8 bits on disk, calculation in floats as before.

Han, S., Mao, H. & Dally, W. (2016). Deep compression. ICLR. arXiv:1510.00149. (Its first half; no code book, no Huffman coding.)

Each output channel has a scale of its own, and the runtime turns the integers back into floats once, when it loads the graph. So a quarter
of the bytes remain and nothing else changes: no ranges, no calibration, no integer kernel that a processor may lack.
"""

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from neocog.compression.chain.candidate import Candidate
from neocog.core.constrained_types import AtLeast1
from neocog.data.prepared import Prepared

IDEA = "Stores weights in 8 bits and calculates in floats"
COST = "Hardly any accuracy; no time is gained"
PAPER = "Han et al. 2016, arXiv:1510.00149"
ON = "graph"
TRAINS = "never"
REFUSES = {"svm": "its landmarks are compared with images, not multiplied as the weights of a layer; `half` works"}
WEIGHTED = {"Conv": 0, "Gemm": None, "MatMul": 1}  # the axis of output channels in their second input; Gemm: by transB


def apply(candidate: Candidate, data: Prepared, *, smallest: AtLeast1 = 64) -> Candidate:
    """Store the weights of convolutions and matrix products of `smallest` or more elements as int8, a scale an output channel."""
    graph = onnx.ModelProto()
    graph.CopyFrom(candidate.exported(data))
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
    nodes = []
    for node in graph.graph.node:
        if (
            node.op_type in WEIGHTED
            and node.input[1] in tensors
            and tensors[node.input[1]].data_type == TensorProto.FLOAT
        ):
            tensor, name = tensors.pop(node.input[1]), node.input[1]
            values = numpy_helper.to_array(tensor)
            axis = WEIGHTED[node.op_type]
            if axis is None:
                axis = 0 if any(each.name == "transB" and each.i for each in node.attribute) else 1
            if values.size < smallest or values.ndim < 2:
                continue
            others = tuple(each for each in range(values.ndim) if each != axis)
            scale = np.maximum(np.abs(values).max(axis=others), 1e-12) / 127
            whole = np.rint(values / np.expand_dims(scale, others)).astype(np.int8)
            tensor.CopyFrom(numpy_helper.from_array(whole, f"{name}.int8"))
            graph.graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"))
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [name], axis=axis))
    nodes += graph.graph.node
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return replace(candidate, graph=graph)
