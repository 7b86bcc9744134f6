"""Write a bundle: only if its graph, read back by ONNX Runtime, agrees with PyTorch on real images."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from torch import Tensor, nn

from neocog.bundle import onnx, parity
from neocog.bundle.read import CARD, FORMAT, GRAPH, WEIGHTS, Bundle, read


def write(
    folder: Path,
    model: nn.Module,
    *,
    kind: str,
    name: str,
    architecture: str,
    year: int,
    task: str,
    classes: tuple[str, ...],
    size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    build: Mapping[str, Any],
    provenance: Mapping[str, Any],
    images: np.ndarray,
) -> Bundle:
    """Make the bundle of `model` in `folder`, replacing what was there.

    `images` uint8 [N, H, W, C] are what the graph must agree with PyTorch on. `build` says how to build the network again. `mean` and `std`
    are in the pixel scale 0..1. Raises ParityError, and leaves `folder` as it was, when graph and network differ.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        deployed = onnx.Deployed(model, mean=mean, std=std).eval()
        onnx.export(deployed, temporary / GRAPH, images=images)
        agreement = parity.check(deployed, temporary / GRAPH, images)
        save_file(tensors(model), temporary / WEIGHTS)
        (temporary / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone
        card = {
            "format": FORMAT,
            "kind": kind,
            "name": name,
            "architecture": architecture,
            "year": year,
            "task": task,
            "classes": list(classes),
            "input": {"channels": images.shape[-1], "size": size},
            "preprocessing": {
                "scale": "pixel / 255",
                "mean": list(mean),
                "std": list(std),
                "layout": "uint8 [N, H, W, C]",
            },
            "build": {**build, "buffers": [key for key, _ in model.named_buffers()]},
            "parity": agreement,
            "provenance": dict(provenance),
        }
        (temporary / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        read(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read(folder)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """The state of `model` as plain contiguous tensors on the CPU."""
    return {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
