"""Any tensor of an ONNX graph, by running it: what the graph itself gives out is only its last."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray


def tensors(model: onnx.ModelProto, names: Sequence[str], images: NDArray) -> dict[str, NDArray]:
    """The tensors `names`, each the output of a node, when `images` go through the first input of `model` on one thread.

    The graph runs as it is written: no optimization merges or drops what is asked for. Outputs that are no tensors are left out.
    """
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run(list(names), {model.graph.input[0].name: np.ascontiguousarray(images)}) if names else []
    return {name: value for name, value in zip(names, found, strict=True) if isinstance(value, np.ndarray)}
