"""ONNX Runtime sessions on the CPU, which only this file builds. No torch; numpy only where a graph is run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import onnx
    import onnxruntime
    from numpy.typing import NDArray

IMAGES, PIXELS = 256, 256 * 64 * 64  # of a batch, at most: memory grows with its pixels; 20 images of 224 px


def session(graph: "onnx.ModelProto | Path", *, threads: int = 0, fused: bool = True) -> "onnxruntime.InferenceSession":
    """The graph, ready to be run on `threads` (0 lets the runtime choose).

    Without `fused` it is run node by node as it is written: nothing is merged or dropped.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = graph if isinstance(graph, Path) else graph.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def outputs(
    running: "onnxruntime.InferenceSession", images: "NDArray[np.uint8]", *, batch_size: int = IMAGES
) -> "NDArray[np.floating[Any]]":
    """The first output [N, ...] of a graph for images uint8 [N, H, W, C], in batches of at most `batch_size` images and PIXELS pixels."""
    import numpy as np

    step = max(1, min(batch_size, PIXELS // (images.shape[1] * images.shape[2])))
    batches = (np.ascontiguousarray(images[start : start + step]) for start in range(0, len(images), step))
    return np.concatenate([running.run(None, {"images": batch})[0] for batch in batches])


def tensors(model: "onnx.ModelProto", names: "Sequence[str]", images: "NDArray[Any]") -> "dict[str, NDArray[Any]]":
    """The tensors `names`, each the output of a node, when `images` go through the first input of `model` on one thread.

    The graph runs as it is written: no optimization merges or drops what is asked for. Outputs that are no tensors are left out.
    """
    import numpy as np
    import onnx

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    running = session(watched, threads=1, fused=False)
    found = running.run(list(names), {model.graph.input[0].name: np.ascontiguousarray(images)}) if names else []
    return {name: value for name, value in zip(names, found, strict=True) if isinstance(value, np.ndarray)}
