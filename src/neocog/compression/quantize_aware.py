"""Quantization-aware training: the network learns with the rounding that its integer graph will do.

Jacob, B. et al. (2018). Quantization and training of neural networks for efficient integer-arithmetic-only inference. CVPR.
arXiv:1712.05877.

Weights are rounded to a step for each output channel and everything between layers to 256 values, wherever the runtime's static tool will
round; the gradient passes as if nothing were rounded, so the weights that are kept settle where rounding harms least. Then they are
rounded for good and quantized as by `quantize_static`, which finds the same integers again. Weights of b bits are whole numbers from
-2^(b-1) to 2^(b-1), as the runtime's 7 bits are, and stand in its 8-bit kernels all the same: fewer bits make neither a faster nor a
smaller graph, only one that packs better.
"""

from dataclasses import replace
from typing import Literal

from neocog.compression.chain import onnx_quantization
from neocog.compression.chain.candidate import Candidate, normalized
from neocog.compression.chain.fake_quantization import Rounded
from neocog.compression.chain.finetune import Train
from neocog.core.constrained_types import Images
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared

IDEA = "Trains with the rounding of 8-bit integers, then calculates with them"
COST = "A training that takes about twice as long an epoch; few bits cost accuracy all the same"
SUGGESTED = {"weight_bits": 7, "train": {"epochs": 2, "lr": 0.01}}
PAPER = "Jacob et al. 2018, arXiv:1712.05877"
ON = "graph"
TRAINS = "must"
TASKS = ("classification", "multilabel")  # its rounding ends at the outputs, a detector's before its decoding
REFUSES = {
    "perceptron": "it learns by its own rule, which takes steps of whole errors and no gradient",
    "adaline": "it learns by its own rule, from the sums before any rounding",
    "madaline": "it learns by its own rule, from the sums before any rounding",
    "svm": "it is solved at once, and its kernel measures distances, of whose rounded exponential little is left",
    "hybrid": "ONNX Runtime 1.31 fuses its quantized attention wrongly: the answers are not those of the same graph without fusions",
}
BATCH = 64  # images that ranges are measured on at a time


def apply(
    candidate: Candidate,
    data: Prepared,
    *,
    train: Train | None = None,
    weight_bits: Literal[2, 3, 4, 5, 6, 7, 8] = 7,
    images: Images = 512,
) -> Candidate:
    """Train with rounded weights and maps, then quantize the graph, with ranges from the first `images` of the train split.

    `weight_bits`: 7 and less give the same answers on every processor; 8 is a little finer, for machines with VNNI.
    """
    if train is None:
        raise UserError(
            "quantize_aware: rounding is learned by training; give the step a block such as train: {epochs: 2}"
        )
    seen = data.split("train").images[:images]
    batches = normalized(seen, data).split(BATCH)
    rounded = Rounded(candidate.copied(), bits=weight_bits, images=batches)
    trained = train(candidate.changed(rounded)).network
    assert isinstance(trained, Rounded)
    network = candidate.copied()
    network.load_state_dict(trained.settled(batches[0]))
    candidate = candidate.changed(network)
    graph = onnx_quantization.static(
        candidate.exported(data),
        seen,
        calibration="minmax",
        percentile=100.0,
        weight_bits=weight_bits,
    )
    return replace(candidate, graph=graph)
