"""Temperature scaling: the logits are divided by one number, so that the model is as sure as it is right.

Guo, C., Pleiss, G., Sun, Y. & Weinberger, K. Q. (2017). On calibration of modern neural networks. ICML. arXiv:1706.04599.

Compression changes confidence too: a pruned, distilled or rounded model is surer or less sure than it should be. The number is fitted
on the validation images and becomes part of the graph, behind everything else; no answer changes, only the probabilities.
"""

import numpy as np
import onnx

from neocog.compression.chain import export
from neocog.compression.chain.append_node import append_node
from neocog.compression.chain.candidate import Candidate
from neocog.data.prepared import Prepared
from neocog.tasks.classification import temperature

IDEA = "Makes probabilities honest: divides the logits by one number"
COST = "Nothing: one division an image, and no answer changes"
PAPER = "Guo et al. 2017, arXiv:1706.04599"
ON = "logits"
TRAINS = "never"
TASKS = ("classification",)


def apply(candidate: Candidate, data: Prepared) -> Candidate:
    """Divide the logits of the graph by the temperature that the validation images ask for."""
    val, graph = data.split("val"), onnx.ModelProto()
    graph.CopyFrom(candidate.shipped(data))
    found = temperature.fit(export.logits(graph, val.images), val.targets)
    return append_node(candidate, graph, "Div", np.array(found), name="temperature")
