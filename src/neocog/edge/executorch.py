"""ExecuTorch: a bundle's network as a `.pte`, for telephones and boards.

https://docs.pytorch.org/executorch. Its layers are handed to XNNPACK, which has kernels for ARM and x86 processors. The file takes one
image at a time, so that all memory is planned beforehand. Integers come by PT2E quantization: weights int8 with a scale a channel, what
flows between layers int8 with a scale and a zero point, in ranges measured on real images.
"""

from pathlib import Path

import numpy as np
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from neocog.bundle.export import Deployed
from neocog.bundle.read import Bundle
from neocog.bundle.rebuild import rebuild
from neocog.core.errors import UserError
from neocog.evaluation.latency import Images, Predict

SUFFIX = ".pte"
BATCH = "1"  # images at a time


def write(bundle: Bundle, path: Path, *, calibration: Images | None) -> None:
    """Write the network of `bundle` to `path`; in integers with ranges from `calibration`, uint8 [N, H, W, C], if given.

    Raises UserError for a bundle whose graph is rounded already, unless it is to be rounded anew.
    """
    if calibration is None and "integer" in bundle.card["parity"]:
        raise UserError(
            f"{bundle.folder}: ExecuTorch cannot read its rounded graph, only its float network; "
            f"add --int8, which rounds that anew, or export {bundle.card['compression']['parent']}"
        )
    preprocessing = bundle.card["preprocessing"]
    deployed = Deployed(rebuild(bundle), mean=preprocessing["mean"], std=preprocessing["std"], task=bundle.task).eval()
    image = (torch.zeros(1, *bundle.size, bundle.channels, dtype=torch.uint8),)
    with torch.no_grad():
        program = torch.export.export(deployed, image)
        if calibration is not None:
            config = get_symmetric_quantization_config(is_per_channel=True)
            watched = prepare_pt2e(program.module(), XNNPACKQuantizer().set_global(config))
            for seen in calibration:
                watched(torch.from_numpy(seen[None].copy()))
            program = torch.export.export(convert_pt2e(watched), image)
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def predictor(path: Path) -> Predict:
    """The file at work on one thread, as a function of one image uint8 [1, H, W, C] -> outputs [1, ...]."""
    _unsafe_reset_threadpool(1)
    method = Runtime.get().load_program(path).load_method("forward")

    def predict(image: Images) -> np.ndarray:
        outputs: torch.Tensor = method.execute([torch.from_numpy(image)])[0]
        return outputs.numpy().copy()  # the runtime writes the next answer into the same memory

    return predict
