"""Export a network as its ONNX graph: raw pixels in, the outputs of its task out."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neocog.tasks import task as tasks


class Deployed(nn.Module):
    """The network between its preprocessing and the task's decoding: images uint8 [N, H, W, C] -> outputs [N, ...], one or several.

    `mean`, `std`: pixel scale 0..1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, *, mean: tuple[float, ...], std: tuple[float, ...], task: str) -> None:
        super().__init__()
        self.task = tasks.task(task)
        self.model, self.decode = model, self.task.decode.Decode()
        self.register_buffer("mean", torch.tensor(mean) * 255)
        self.register_buffer("std", torch.tensor(std) * 255)

    def forward(self, images: Tensor) -> Any:
        maps = (
            images.permute(0, 3, 1, 2).contiguous().float()
        )  # first, for ONNX Runtime broadcasts slowly over [N, H, W, C]
        return self.decode(self.model((maps - self.mean[:, None, None]) / self.std[:, None, None]))


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
            output_names=list(deployed.task.decode.OUTPUTS),
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
