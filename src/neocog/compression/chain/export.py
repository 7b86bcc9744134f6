"""Export a candidate as a bundle, after its parity check."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from neocog import architectures
from neocog.bundle import write
from neocog.bundle.parity import IMAGES, ParityError, Proof
from neocog.bundle.read import Bundle, read
from neocog.bundle.session import outputs, session
from neocog.bundle.widths import widths
from neocog.compression.chain.candidate import Candidate
from neocog.core.atomic import staged
from neocog.data.prepared import Prepared
from neocog.statistics.intervals import wilson
from neocog.tasks import task as tasks
from neocog.tasks.task import Task

VERDICT = "verdict.json"
MIN_AGREEMENT = (
    0.99  # of an integer graph in the runtime's fast kernels with the same graph calculated as it is written
)


def ship(
    folder: Path,
    candidate: Candidate,
    data: Prepared,
    *,
    name: str,
    steps: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
    verdict: Mapping[str, Any],
) -> Bundle:
    """Make the bundle `compressed/<name>` in `folder`: graph, float weights, a card with parent, `steps` and widths; and verdict.json.

    Weights that pruning made sparse are packed.

    Raises ParityError, and leaves `folder` as it was, when the graph is not what the network is, or an integer graph not what it simulates.
    """
    proof, graph = candidate.proof(data), candidate.shipped(data)
    if candidate.graph is not None:
        bits = max((int(step.get("weight_bits", 7)) for step in steps), default=7)
        task = tasks.task(candidate.parent.task)
        integer = simulated(graph, data.split("val").images[:IMAGES], task=task, weight_bits=bits)
        proof = Proof(graph, {**proof.parity, "integer": integer})
    with staged(folder) as stage:
        write.fill(
            stage,
            candidate.network,
            data,
            proof=proof,
            kind="compressed",
            name=name,
            architecture=candidate.architecture,
            sizes=candidate.sizes,
            widths=widths(candidate.network, built=_built(candidate, data)),
            provenance=provenance,
            packed=candidate.sparse,
            compression={"parent": candidate.parent.model, "steps": [dict(step) for step in steps]},
        )
        (stage / VERDICT).write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")
    return read(folder)


def simulated(graph: onnx.ModelProto, images: np.ndarray, *, task: Task, weight_bits: int = 7) -> dict[str, Any]:
    """Hold a graph, as the runtime carries it out, against the same graph calculated node by node: rounded numbers in float arithmetic.

    Returns `images` and `<primary metric>_agreement`.

    Raises ParityError when they differ by more than chance: then integer kernels overflow, as those
    of processors without VNNI do with weights of 8 bits, or the runtime fuses nodes wrongly.
    """
    fast, plain = (logits(graph, images, plainly=plainly) for plainly in (False, True))
    alike = task.metrics.agreement(plain, fast)
    agreement = float(alike.mean())
    if wilson(round(float(alike.sum())), len(images))[1] < MIN_AGREEMENT:
        raise ParityError(
            f"the integer graph and its simulation agree on {agreement:.4f} of {len(images)} real images (at least {MIN_AGREEMENT}): "
            + (
                "this processor adds products of 8 bits in too few; set weight_bits: 7"
                if weight_bits > 7
                else "the runtime's integer kernels calculate it wrongly; use weight_only or half, which calculate in floats"
            )
        )
    return {"images": len(images), f"{task.primary.name}_agreement": agreement}


def logits(graph: onnx.ModelProto, images: np.ndarray, *, plainly: bool = False) -> np.ndarray:
    """Outputs [N, ...] of images uint8 [N, H, W, C]; `plainly`: node by node as the graph is written."""
    return outputs(session(graph, fused=not plainly), images)


def _built(candidate: Candidate, data: Prepared) -> Any:
    built = architectures.build(
        candidate.architecture, channels=data.channels, size=data.size, classes=len(data.classes), sizes=candidate.sizes
    )
    if hasattr(built, "drop_auxiliary"):
        built.drop_auxiliary()
    return built
