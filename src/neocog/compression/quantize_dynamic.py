"""Dynamic quantization: 8-bit weights, and ranges of everything else found anew for each image.

Krishnamoorthi, R. (2018). Quantizing deep convolutional networks for efficient inference: a whitepaper. arXiv:1806.08342.

Needs no images beforehand and cannot be wrong about ranges, but looks for them at every layer while it runs, which costs time; the
products are integers. It pays for large matrices (transformers, fully connected layers), hardly for convolutions.
"""

from dataclasses import replace

from neocog.compression.chain import onnx_quantization
from neocog.compression.chain.candidate import Candidate
from neocog.data.prepared import Prepared
from neocog.tasks import task as tasks

IDEA = "Stores 8-bit weights and finds the ranges of everything else while it runs"
COST = "Time for convolutional networks: ranges are sought at every layer; measure before use"
PAPER = "Krishnamoorthi 2018, arXiv:1806.08342"
ON = "graph"
TRAINS = "never"


def apply(candidate: Candidate, data: Prepared) -> Candidate:
    """Quantize the weights of convolutions and matrix products of the graph."""
    return replace(
        candidate,
        graph=onnx_quantization.dynamic(candidate.exported(data), float_decoding=tasks.task(data.task).has_places),
    )
