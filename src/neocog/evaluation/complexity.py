"""Model complexity: trainable parameters, multiply-accumulates and bytes, counted from the files of a bundle."""

from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import inliner

from neocog.bundle import session, sparse
from neocog.bundle.read import GRAPH, WEIGHTS, Bundle
from neocog.core.errors import UserError

Shapes = dict[str, tuple[int, ...]]

# Operators that multiply and the place of the weights (convolutions) or the right-hand matrix among their inputs.
CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}
TRANSPOSED = {"ConvTranspose": 1}
PRODUCTS = {"Gemm": 1, "MatMul": 1, "MatMulInteger": 1, "QLinearMatMul": 3}
UNCOUNTED = {"Attention", "DeformConv", "Einsum", "GRU", "If", "LSTM", "Loop", "RNN", "Scan"}


def count(bundle: Bundle) -> dict[str, int]:
    """params, macs and size_bytes of a bundle."""
    return {"params": params(bundle), "macs": macs(bundle.folder / GRAPH), "size_bytes": size_bytes(bundle)}


def params(bundle: Bundle) -> int:
    """Elements of the weights that training changes: those of weights.safetensors that are not buffers."""
    buffers = set(bundle.card.get("build", {}).get("buffers", []))
    return sum(prod(shape) for name, shape in sparse.shapes(bundle.folder / WEIGHTS).items() if name not in buffers)


def size_bytes(bundle: Bundle) -> int:
    """Bytes on disk of the ONNX graph, which is what is shipped."""
    return (bundle.folder / GRAPH).stat().st_size


def macs(path: Path) -> int:
    """Multiply-accumulates of one image: convolutions and matrix products of the ONNX file, with their weights.

    Additions of biases, normalizations and activations are not counted, as is usual. Raises UserError for an operator
    that multiplies in a way that is not counted here.
    """
    model = inliner.inline_local_functions(onnx.load(path))
    shape = _shapes(model)
    total = 0
    for node in model.graph.node:
        if node.op_type in CONVOLUTIONS:  # every output element takes one patch: channels / groups x kernel
            total += prod(shape[node.output[0]]) * prod(shape[node.input[CONVOLUTIONS[node.op_type]]][1:])
        elif node.op_type in TRANSPOSED:  # every input element is spread over filters / groups x kernel
            total += prod(shape[node.input[0]]) * prod(shape[node.input[TRANSPOSED[node.op_type]]][1:])
        elif node.op_type in PRODUCTS:  # every output element sums over the columns of the left matrix
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            total += prod(shape[node.output[0]]) * shape[node.input[0]][0 if transposed else -1]
        elif node.op_type in UNCOUNTED:
            raise UserError(f"{path}: the multiplications of {node.op_type} ({node.output[0]}) cannot be counted")
    return total


def _shapes(model: onnx.ModelProto) -> Shapes:
    """The shapes that the tensors around counted operators have when one image goes through.

    Measured by running it: ONNX's own inference gives up on shapes that the graph computes, as in exported ResNets.
    """
    counted = [node for node in model.graph.node if node.op_type in CONVOLUTIONS | TRANSPOSED | PRODUCTS]
    wanted = {name for node in counted for name in (*node.input, *node.output) if name}
    shapes: Shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    image = model.graph.input[0]
    sides = [dim.dim_value for dim in image.type.tensor_type.shape.dim[1:]]
    zeros = np.zeros((1, *sides), onnx.helper.tensor_dtype_to_np_dtype(image.type.tensor_type.elem_type))
    shapes[image.name] = zeros.shape
    found = session.tensors(model, sorted(wanted - set(shapes)), zeros)
    return shapes | {name: tensor.shape for name, tensor in found.items()}
