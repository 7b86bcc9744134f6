"""Thresholds: a number is added to each logit, so that the class or the group it goes worst for is right more often.

Menon, A. K., Jayasumana, S., Rawat, A. S., Jain, H., Veit, A. & Kumar, S. (2021). Long-tail learning via logit adjustment. ICLR.
arXiv:2007.07314.

The answer is the class whose logit is highest, and a class that is too seldom given can be given sooner. In the paper the numbers follow
from how often a class occurs; here they are searched on the validation images: those with the best accuracy of the worst class that cost
no more than `max_top1_drop` of all images. They become part of the graph, behind everything else. With a `column` of data.groups it is
the worst of the groups that a class and a value make; images are still shifted by class alone, since nobody tells a model in use which
group an image is of.
"""

import onnx

from neocog.compression.chain import export
from neocog.compression.chain.append_node import append_node
from neocog.compression.chain.candidate import Candidate
from neocog.core.constrained_types import Fraction
from neocog.data.prepared import Prepared
from neocog.tasks.classification import thresholds

IDEA = "Helps the class that fares worst: adds a number to each logit"
COST = "Some accuracy over all, at the classes that fared better; probabilities follow the shift, so calibrate anew"
SUGGESTED = {"max_top1_drop": 0.01}
PAPER = "Menon et al. 2021, arXiv:2007.07314"
ON = "logits"
TRAINS = "never"
TASKS = ("classification",)


def apply(
    candidate: Candidate, data: Prepared, *, max_top1_drop: Fraction = 0.01, column: str | None = None
) -> Candidate:
    """Add to the logits of the graph what helps the worst class, or the worst group of a `column`, of the validation images.

    `max_top1_drop`: what all validation images together may lose. Raises UserError for a column that is not there.
    """
    val, graph = data.split("val"), onnx.ModelProto()
    graph.CopyFrom(candidate.shipped(data))
    groups = val.targets if column is None else data.cells("val", column)[0]
    found = thresholds.fit(export.logits(graph, val.images), val.targets, groups, max_top1_drop=max_top1_drop)
    return append_node(candidate, graph, "Add", found, name="thresholds")
