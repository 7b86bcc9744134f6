"""Quantization of ONNX graphs by ONNX Runtime's own tools, which want files: models in, models out here."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from neocog.core.errors import NeocogError

BATCH = 64  # images that go through at a time while ranges are measured
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
LAYERS = ("Conv", "Gemm", "MatMul")
INTEGER = ("QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul")


class Images(CalibrationDataReader):
    """Images uint8 [N, H, W, C] in batches, as the calibration asks for them: one batch, then its ranges are merged, so memory
    stays small."""

    def __init__(self, images: np.ndarray) -> None:
        self.batches = [np.ascontiguousarray(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        self.next, self.stop = 0, len(self.batches)

    def __len__(self) -> int:
        return len(self.batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.next, self.stop = start_index, end_index

    def get_next(self) -> dict[str, np.ndarray] | None:
        if self.next >= self.stop:
            return None
        self.next += 1
        return {"images": self.batches[self.next - 1]}


def static(
    graph: onnx.ModelProto,
    images: np.ndarray,
    *,
    calibration: str,
    percentile: float,
    weight_bits: int,
    float_decoding: bool = False,
) -> onnx.ModelProto:
    """`graph` with int8 weights (a scale a channel) and uint8 activations in ranges measured on images uint8 [N, H, W, C].

    Its input stays uint8 images, its logits float: they are not rounded. With `float_decoding` nothing behind the last layers is, for boxes
    have more than 256 places. Raises NeocogError when nothing became an integer.
    """
    with _files(graph, symbolic=not float_decoding) as (source, target):
        quantize_static(
            source,
            target,
            Images(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=weight_bits < 8,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=METHODS[calibration],
            nodes_to_exclude=_behind_layers(source) if float_decoding else None,
            extra_options={
                "CalibStridedMinMax": 1,  # batches whose values are held at a time, whatever the method
                "CalibTensorRangeSymmetric": False,
                "CalibPercentile": percentile,
                "OpTypesToExcludeOutputQuantization": ["Gemm"],
            },
        )
        return _checked(onnx.load(target), "static")


def dynamic(graph: onnx.ModelProto, *, float_decoding: bool = False) -> onnx.ModelProto:
    """`graph` with int8 weights, whose activations are quantized while it runs. Raises NeocogError when nothing became an integer."""
    with _files(graph, symbolic=not float_decoding) as (source, target):
        quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)
        return _checked(onnx.load(target), "dynamic")


def operators(graph: onnx.ModelProto) -> dict[str, int]:
    """How many nodes of each kind the graph has."""
    kinds = [node.op_type for node in graph.graph.node]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _behind_layers(path: Path) -> list[str]:
    """The nodes of the graph at `path` from which no way leads to a layer: its decoding. Gives a name to each that has none."""
    graph = onnx.load(path)
    needed: set[str] = set()
    behind = []
    for place, node in reversed(list(enumerate(graph.graph.node))):
        node.name = node.name or f"{node.op_type}.{place}"
        if node.op_type in LAYERS or needed & {*node.output}:
            needed |= {*node.input}
        else:
            behind.append(node.name)
    onnx.save(graph, path)
    return behind


@contextmanager
def _files(graph: onnx.ModelProto, *, symbolic: bool = True) -> Iterator[tuple[Path, Path]]:
    """The graph as a file, its shapes inferred and its batch normalizations folded, and the place for the quantized one. Without
    their talk. `symbolic` inference knows more of free sizes, but not every operator."""
    disabled = logging.root.manager.disable
    with tempfile.TemporaryDirectory(prefix="neocog-") as folder, redirect_stdout(StringIO()):
        logging.disable(logging.WARNING)
        try:
            whole, source = Path(folder) / "whole.onnx", Path(folder) / "source.onnx"
            onnx.save(graph, whole)
            quant_pre_process(whole, source, skip_symbolic_shape=not symbolic)
            yield source, Path(folder) / "target.onnx"
        finally:
            logging.disable(disabled)


def _checked(graph: onnx.ModelProto, how: str) -> onnx.ModelProto:
    kinds = operators(graph)
    if not any(kind in kinds for kind in INTEGER):
        raise NeocogError(f"{how} quantization found nothing to turn into integers among {', '.join(kinds)}")
    for part in (graph, graph.graph, *graph.graph.node):
        del part.metadata_props[:]
    return graph
