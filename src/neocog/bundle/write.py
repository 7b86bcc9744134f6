"""Write a bundle: only if its graph, read back by ONNX Runtime, agrees with PyTorch on real images."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from neocog import architectures
from neocog.bundle import onnx, parity
from neocog.bundle.read import CARD, FORMAT, GRAPH, WEIGHTS, Bundle, read
from neocog.data.prepared import Prepared

PARITY_IMAGES = 1024


def write(
    folder: Path,
    model: nn.Module,
    data: Prepared,
    *,
    kind: str,
    name: str,
    architecture: str,
    sizes: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Bundle:
    """Make the bundle of `model`, trained on `data`, in `folder`, replacing what was there.

    `sizes` are the keywords with which `architecture` is built again. Raises ParityError, and leaves `folder` as it
    was, when graph and network differ on the first images of the val split.
    """
    images = data.split("val").images[:PARITY_IMAGES]
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        deployed = onnx.Deployed(model, mean=data.mean, std=data.std).eval()
        onnx.export(deployed, temporary / GRAPH, images=images)
        agreement = parity.check(deployed, temporary / GRAPH, images)
        save_file(tensors(model), temporary / WEIGHTS)
        (temporary / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone
        card = {
            "format": FORMAT,
            "kind": kind,
            "name": name,
            "architecture": architecture,
            "year": architectures.card(architecture).year,
            "task": data.task,
            "classes": list(data.classes),
            "input": {"channels": data.channels, "size": data.size},
            "preprocessing": {
                "scale": "pixel / 255",
                "mean": list(data.mean),
                "std": list(data.std),
                "layout": "uint8 [N, H, W, C]",
            },
            "build": {"sizes": dict(sizes), "buffers": [key for key, _ in model.named_buffers()]},
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


def again(folder: Path, bundle: Bundle, *, kind: str) -> Bundle:
    """`bundle` once more in `folder` as another `kind`: the same graph and weights."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name in (GRAPH, WEIGHTS):
        shutil.copyfile(bundle.folder / name, temporary / name)
    card = {**bundle.card, "kind": kind}
    (temporary / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return read(folder)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """The state of `model` as plain contiguous tensors on the CPU."""
    return {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
