"""Append an operator to the end of an ONNX graph."""

from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from neocog.compression.chain.candidate import Candidate


def append_node(
    candidate: Candidate, graph: onnx.ModelProto, operator: str, numbers: NDArray[np.float32], *, name: str
) -> Candidate:
    """The candidate with `operator`(outputs, `numbers`) at the end of `graph`; the initializer of the numbers is called `name`.

    Several of the same name may follow each other; each after the first gets a number.
    """
    earlier = sum(initializer.name.partition(".")[0] == name for initializer in graph.graph.initializer)
    name = f"{name}.{earlier + 1}" if earlier else name
    outputs = graph.graph.output[0].name
    before = f"{outputs}.before.{name}"
    for node in graph.graph.node:
        for place, output in enumerate(node.output):
            if output == outputs:
                node.output[place] = before
    graph.graph.initializer.append(numpy_helper.from_array(np.asarray(numbers, np.float32), name))
    graph.graph.node.append(helper.make_node(operator, [before, name], [outputs]))
    return replace(candidate, graph=graph)
