"""Any tensor of an ONNX graph, by running it: what the graph itself gives out is only its last."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from neocog.bundle.session import session


def tensors(model: onnx.ModelProto, names: Sequence[str], images: NDArray) -> dict[str, NDArray]:
    """The tensors `names`, each the output of a node, when `images` go through the first input of `model` on one thread.

    The graph runs as it is written: no optimization merges or drops what is asked for. Outputs that are no tensors are left out.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    running = session(watched, threads=1, fused=False)
    found = running.run(list(names), {model.graph.input[0].name: np.ascontiguousarray(images)}) if names else []
    return {name: value for name, value in zip(names, found, strict=True) if isinstance(value, np.ndarray)}
