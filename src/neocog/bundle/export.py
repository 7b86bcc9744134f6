"""A network as the ONNX graph that is shipped: raw pixels in, logits out."""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


class Deployed(nn.Module):
    """The network with its preprocessing inside: images uint8 [N, H, W, C] -> logits float32 [N, classes].

    `mean`, `std`: pixel scale 0..1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, *, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean) * 255)
        self.register_buffer("std", torch.tensor(std) * 255)

    def forward(self, images: Tensor) -> Tensor:
        maps = (
            images.permute(0, 3, 1, 2).contiguous().float()
        )  # first, for ONNX Runtime broadcasts slowly over [N, H, W, C]
        return self.model((maps - self.mean[:, None, None]) / self.std[:, None, None])


def export(deployed: Deployed, path: Path, *, images: np.ndarray) -> None:
    """Write the graph, with a free batch size, to `path`. Two images of `images` are traced. No source paths are kept in it."""
    import onnx

    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            deployed,
            (torch.from_numpy(np.ascontiguousarray(images[:2])),),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        )
    assert program is not None
    graph = program.model_proto
    for part in (
        graph,
        graph.graph,
        *graph.graph.node,
        *graph.graph.input,
        *graph.graph.output,
        *graph.graph.value_info,
        *graph.graph.initializer,
    ):
        del part.metadata_props[:]  # stack traces with the paths of whoever exported
        part.doc_string = ""
    onnx.save(graph, path)
