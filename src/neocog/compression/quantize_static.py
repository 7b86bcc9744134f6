"""Static quantization: integers of 8 bits in the place of floats, with ranges measured beforehand on real images.

Jacob, B. et al. (2018). Quantization and training of neural networks for efficient integer-arithmetic-only inference. CVPR.
arXiv:1712.05877.

Weights become int8 with a scale for each output channel, what flows between layers uint8 with a scale and a zero point of its own. How far
values reach is found by running training images: `minmax` takes the farthest that was seen, `percentile` cuts outliers off, `entropy` the
range that loses least information (Migacz 2017). Nothing is trained. Uint8 times int8 is what x86 processors multiply; those without VNNI
add two products in 16 bits, which overflow with weights of 8 bits (a ResNet here lost 2.4 points to that, and agreed with its simulation on
96 % of the images), but not with 7. The graph still takes the same images and gives float logits.
"""

from dataclasses import replace
from typing import Annotated, Literal

from annotated_types import Gt, Le

from neocog.compression.chain import onnx_quantization
from neocog.compression.chain.candidate import Candidate
from neocog.core.constrained_types import Images
from neocog.data.prepared import Prepared
from neocog.tasks import task as tasks

IDEA = "Calculates with 8-bit integers, in ranges measured on real images"
COST = "Some accuracy, more in networks with depthwise convolutions, whose channels differ widely"
SUGGESTED = {"calibration": "minmax", "images": 512}
PAPER = "Jacob et al. 2018, arXiv:1712.05877"
ON = "graph"
TRAINS = "never"
REFUSES = {
    "svm": "its kernel measures distances to landmarks, and the exponential of a rounded distance says little",
    "hybrid": "ONNX Runtime 1.31 fuses its quantized attention wrongly: the answers are not those of the same graph without fusions",
}


def apply(
    candidate: Candidate,
    data: Prepared,
    *,
    calibration: Literal["minmax", "entropy", "percentile"] = "minmax",
    percentile: Annotated[float, Gt(50), Le(100)] = 99.99,
    images: Images = 512,
    weight_bits: Literal[7, 8] = 7,
) -> Candidate:
    """Quantize the graph with ranges from the first `images` of the train split, which stand in the order of their hashes: a random choice.

    `percentile`: share of values in percent that stay inside the range; for that calibration only. `weight_bits`: 7 gives the same answers
    on every processor; 8 is a little finer, for machines with VNNI.
    """
    seen = data.split("train").images[:images]
    graph = onnx_quantization.static(
        candidate.exported(data),
        seen,
        calibration=calibration,
        percentile=percentile,
        weight_bits=weight_bits,
        float_decoding=tasks.task(data.task).has_places,
    )
    return replace(candidate, graph=graph)
