"""OpenVINO: a bundle's graph as `.xml` and `.bin`, for processors and graphics of Intel; it runs on other x86 and ARM processors too.

https://docs.openvino.ai. Integers come from NNCF's post-training quantization (Kozlov et al. 2020, arXiv:2002.08679): ranges measured on
real images, then a correction of biases. Weights have 7 bits, as in `quantize_static`: processors without VNNI add products of 8 bits in
too few (on one, MobileNet agreed with its floats on 96.9 % of the images with 8 bits and on 99.0 % with 7).
"""

from pathlib import Path

import numpy as np
import openvino

from neocog.bundle.read import GRAPH, Bundle
from neocog.core.errors import UserError
from neocog.evaluation.latency import Images, Predict

SUFFIX = ".xml"  # beside it .bin, the weights
BATCH = "N"  # images at a time: any number


def write(bundle: Bundle, path: Path, *, calibration: Images | None) -> None:
    """Write the graph of `bundle` to `path`; in integers with ranges from `calibration`, uint8 [N, H, W, C], if given.

    Raises UserError for integers of a graph that is rounded already.
    """
    model = openvino.convert_model(bundle.folder / GRAPH)
    if calibration is not None:
        if "integer" in bundle.card["parity"]:
            raise UserError(f"{bundle.folder}: its graph is rounded already and is taken as it is; leave --int8 out")
        import nncf

        images = nncf.Dataset([np.ascontiguousarray(seen[None]) for seen in calibration], lambda seen: {"images": seen})
        settings = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
        model = nncf.quantize(model, images, subset_size=len(calibration), advanced_parameters=settings)
    openvino.save_model(model, path, compress_to_fp16=False)


def predictor(path: Path) -> Predict:
    """The file at work on one thread, as a function of images uint8 [N, H, W, C] -> outputs [N, ...]."""
    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.compile_model(path, "CPU", settings).create_infer_request()

    def predict(images: Images) -> np.ndarray:
        outputs: np.ndarray = request.infer({"images": images})[0]  # the first, as `bundle.session.outputs`
        return outputs

    return predict
