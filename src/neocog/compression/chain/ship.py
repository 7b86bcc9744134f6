"""The candidate as a bundle: proven before it is there."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from neocog import architectures
from neocog.bundle import write
from neocog.bundle.parity import ParityError
from neocog.bundle.read import CARD, GRAPH, Bundle, read
from neocog.bundle.widths import widths
from neocog.compression.chain.candidate import PARITY_IMAGES, Candidate
from neocog.data.prepared import Prepared

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
) -> Bundle:
    """Make the bundle `compressed/<name>` in `folder`: graph, float weights, and a card that tells parent, `steps` and widths.

    Raises ParityError, and leaves `folder` as it was, when the graph is not what the network is, or an integer graph not what it simulates.
    """
    staging = folder.with_name(f".{folder.name}.whole")
    try:
        write.write(
            staging,
            candidate.network,
            data,
            kind="compressed",
            name=name,
            architecture=candidate.architecture,
            sizes=candidate.sizes,
            provenance=provenance,
        )
        card = json.loads((staging / CARD).read_text())
        card["build"]["widths"] = widths(candidate.network, built=_built(candidate, data))
        card["compression"] = {"parent": candidate.parent.model, "steps": [dict(step) for step in steps]}
        if candidate.graph is not None:
            onnx.save(candidate.graph, staging / GRAPH)
            card["parity"]["integer"] = simulated(candidate.graph, data.split("val").images[:PARITY_IMAGES])
        (staging / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return read(folder)


def simulated(graph: onnx.ModelProto, images: np.ndarray) -> dict[str, Any]:
    """Hold a graph, as the runtime carries it out, against the same graph calculated node by node: rounded numbers in float arithmetic.

    Returns `images` and `top1_agreement`. Raises ParityError when they differ: then this processor's integer kernels overflow.
    """
    fast, plain = (logits(graph, images, plainly=plainly).argmax(1) for plainly in (False, True))
    agreement = float((fast == plain).mean())
    if not agreement >= MIN_AGREEMENT:
        raise ParityError(
            f"the integer graph and its simulation agree on {agreement:.4f} of {len(images)} real images (at least {MIN_AGREEMENT}): "
            "this processor adds products of 8 bits in too few; set weight_bits: 7"
        )
    return {"images": len(images), "top1_agreement": agreement}


def logits(graph: onnx.ModelProto, images: np.ndarray, *, plainly: bool = False) -> np.ndarray:
    """Logits [N, K] of images uint8 [N, H, W, C]; `plainly`: node by node as the graph is written, without the runtime's fused kernels."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if plainly:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    parts = (np.ascontiguousarray(images[start : start + 256]) for start in range(0, len(images), 256))
    return np.concatenate([session.run(["logits"], {"images": part})[0] for part in parts])


def _built(candidate: Candidate, data: Prepared) -> Any:
    built = architectures.build(
        candidate.architecture, channels=data.channels, size=data.size, classes=len(data.classes), sizes=candidate.sizes
    )
    if hasattr(built, "drop_auxiliary"):
        built.drop_auxiliary()
    return built
