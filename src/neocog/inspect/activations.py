"""First weights of a trained network, and the activations of one image at several depths.

Everything is read from the ONNX graph by running it once with all its tensors as outputs. The first filters as pictures are those of
Krizhevsky, Sutskever & Hinton (2012), fig. 3; maps at growing depth those of Zeiler & Fergus (2014), arXiv:1311.2901.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import inliner, numpy_helper

from neocog.bundle import session
from neocog.bundle.read import GRAPH, Bundle
from neocog.evaluation.complexity import CONVOLUTIONS, PRODUCTS
from neocog.tasks.task import task

DEPTHS = 4
INTEGERS = ("ConvInteger", "MatMulInteger")
PASSED_ON = {  # what only moves, pools or rescales the maps of the layer before
    "AveragePool", "BatchNormalization", "Cast", "DequantizeLinear", "Dropout", "DynamicQuantizeLinear", "Gather", "Identity",
    "LRN", "LayerNormalization",
    "LpPool", "MatMul", "MaxPool", "Pad", "QuantizeLinear", "Reshape", "Resize", "Slice", "Softmax", "Split", "Transpose",
}  # fmt: skip

Floats = NDArray[np.floating]
Tensors = Mapping[str, NDArray]


@dataclass(frozen=True)
class Filters:
    """The first weights that the image meets, [F, C, h, w]: a small patch if `local`, else the whole image once a unit.

    `classes` names the filters where each speaks for a class and nothing follows, as in a perceptron; else it is empty.
    """

    weights: Floats
    local: bool
    classes: tuple[str, ...] = ()

    def strongest(self, most: int) -> Floats:
        """At most so many: those of the largest norm first, or the first classes in their order."""
        if self.classes:
            return self.weights[:most]
        norms = np.linalg.norm(self.weights.reshape(len(self.weights), -1), axis=1)
        return self.weights[np.argsort(-norms, kind="stable")[:most]]


@dataclass(frozen=True)
class Depth:
    """What the image has become after `layer` of `layers` convolutions and attentions: maps [F, h, w], most varied first."""

    layer: int
    layers: int
    maps: Floats


@dataclass(frozen=True)
class Inside:
    """`prediction`, filters and maps of one image. `filters` is None where no weights lie on the image, `depths` empty without maps."""

    prediction: Floats
    filters: Filters | None
    depths: tuple[Depth, ...]


def look(bundle: Bundle, image: NDArray[np.uint8], *, depths: int = DEPTHS) -> Inside:
    """The filters of `bundle`, and its maps of `image` uint8 [H, W, C] at so many depths, evenly spread."""
    model = inliner.inline_local_functions(onnx.load(bundle.folder / GRAPH))
    tensors = _run(model, image[None])
    outputs = tensors[model.graph.output[0].name]
    return Inside(
        prediction=task(bundle.task).respond.calibrated(outputs, card=bundle.card)[0],
        filters=_filters(model.graph, tensors, bundle),
        depths=tuple(_depths(model.graph, tensors, depths)),
    )


def _run(model: onnx.ModelProto, images: NDArray[np.uint8]) -> Tensors:
    """Every tensor of the graph, weights included, when `images` go through."""
    found = session.tensors(model, [name for node in model.graph.node for name in node.output if name], images)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {**weights, model.graph.input[0].name: images, **found}


def _filters(proto: onnx.GraphProto, tensors: Tensors, bundle: Bundle) -> Filters | None:
    seen = {
        proto.input[0].name: tensors[proto.input[0].name].shape
    }  # of what follows from the image: its last 4-D shape
    found = None
    for node in proto.node:
        shape = next((seen[name] for name in node.input if name in seen), None)
        if shape is None:
            continue
        index = (CONVOLUTIONS | PRODUCTS).get(node.op_type)
        if index is not None and node.input[index] not in seen:
            if found is not None:  # more weights follow: the first are not those of the classes
                return Filters(found.weights, found.local)
            found = _of(node, _centred(node, tensors, index), shape=shape, bundle=bundle)
        for name in node.output:
            seen[name] = tensors[name].shape if name in tensors and tensors[name].ndim == 4 else shape
    return found


def _centred(node: onnx.NodeProto, tensors: Tensors, index: int) -> NDArray:
    """The weights of a layer; of one that multiplies integers (inputs: images, weights, and the zero point of each) around their zero."""
    weights = tensors[node.input[index]]
    if node.op_type not in INTEGERS or len(node.input) < 4:
        return weights
    zero = tensors[node.input[3]].astype(np.float32)
    return weights.astype(np.float32) - (zero[:, None, None, None] if zero.ndim and weights.ndim == 4 else zero)


def _of(node: onnx.NodeProto, weights: NDArray, *, shape: tuple[int, ...], bundle: Bundle) -> Filters | None:
    """The weights of one layer as filters; `shape` is the last 4-D one on the way to it. None if they are not pictures."""
    weights = np.asarray(weights, np.float32)
    if node.op_type in CONVOLUTIONS:
        return Filters(weights, local=True) if weights.ndim == 4 else None
    if not any(attribute.name == "transB" and attribute.i for attribute in node.attribute):
        weights = weights.T
    channels, size = bundle.channels, bundle.size
    if weights.ndim != 2 or weights.shape[1] != channels * prod(size):
        return None
    if shape[1:] == (channels, *size):
        pictures = weights.reshape(-1, channels, *size)
    else:
        pictures = weights.reshape(-1, *size, channels).transpose(0, 3, 1, 2)
    return Filters(pictures, local=False, classes=bundle.classes if len(pictures) == len(bundle.classes) else ())


def _depths(proto: onnx.GraphProto, tensors: Tensors, most: int) -> Iterator[Depth]:
    """Of each chosen depth the last tensor that holds maps: that is behind its activation, where there is one."""
    bare: dict[int, Floats] = {}  # as the layer itself left them
    acted: dict[int, Floats] = {}
    for node, depth, maps in _maps(proto, tensors):
        (bare if node.op_type in CONVOLUTIONS else acted)[depth] = maps
    layers = max(bare | acted, default=0)
    for layer in np.unique(np.linspace(1, layers, min(layers, most)).round().astype(int)):
        if layer in bare or layer in acted:
            maps = acted[layer] if layer in acted else bare[layer]
            varied = np.argsort(-maps.std(axis=(1, 2)), kind="stable")
            yield Depth(int(layer), layers, maps[varied])


def _maps(proto: onnx.GraphProto, tensors: Tensors) -> Iterator[tuple[onnx.NodeProto, int, Floats]]:
    """(node, depth, maps [F, h, w]) of every tensor that holds maps.

    Depth counts the layers that mix places, on the longest way: convolutions, and attentions over the same places.
    """
    reached = {proto.input[0].name: (0, (0, 0))}  # depth, and height and width of the maps there
    for node in proto.node:
        known = [reached[name] for name in node.input if name in reached]
        if not known:
            continue
        depth, size = max(known)
        for name in node.output:
            value = tensors.get(name, np.empty(0))
            many = value.ndim == 4 and prod(value.shape[2:]) > 1
            if many and (node.op_type in CONVOLUTIONS or node.op_type.endswith("Pool")):
                depth, size = depth + (node.op_type in CONVOLUTIONS), (value.shape[2], value.shape[3])
            elif node.op_type == "Softmax" and any(size) and value.ndim > 2 and value.shape[-1] - prod(size) in (0, 1):
                depth += 1
            reached[name] = (depth, size)
            if not depth or node.op_type in PASSED_ON:
                continue
            if many and value.shape[2:] == size:
                yield (
                    node,
                    depth,
                    np.asarray(value[0], np.float32),
                )  # also of integers, which no picture may divide in place
            elif node.op_type == "Add" and len(known) > 1 and value.ndim == 3 and value.shape[1] - prod(size) in (0, 1):
                tokens = np.asarray(value[0, value.shape[1] - prod(size) :], np.float32)  # without the class token
                yield node, depth, tokens.T.reshape(-1, *size)
