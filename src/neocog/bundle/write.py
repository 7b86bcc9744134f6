"""Write a bundle: only if its graph, read back by ONNX Runtime, agrees with PyTorch on real images."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from safetensors.torch import save_file
from torch import Tensor, nn

from neocog import architectures
from neocog.bundle import sparse
from neocog.bundle.parity import Proof, prove
from neocog.bundle.read import CARD, FORMAT, GRAPH, WEIGHTS, Bundle, read
from neocog.bundle.session import outputs, session
from neocog.bundle.widths import Widths
from neocog.core import image_size, integrity
from neocog.core.atomic import staged
from neocog.data.prepared import Prepared
from neocog.tasks.task import task


def write(folder: Path, model: nn.Module, data: Prepared, **card: Any) -> Bundle:
    """Make the bundle of `model`, trained on `data`, in `folder`, replacing what was there; `card` as for `fill`.

    Raises ParityError, and leaves `folder` as it was, when graph and network differ on the first images of the val split.
    """
    with staged(folder) as stage:
        fill(stage, model, data, proof=prove(model, data), **card)
    return read(folder)


def fill(
    folder: Path,
    model: nn.Module,
    data: Prepared,
    *,
    proof: Proof,
    kind: str,
    name: str,
    architecture: str,
    sizes: Mapping[str, Any],
    provenance: Mapping[str, Any],
    widths: Widths | None = None,
    packed: bool = False,
    **more: Any,
) -> None:
    """Write the three files of the bundle into `folder`. `sizes` are the keywords with which `architecture` is built again, `widths`
    what pruning changed of it; `packed` weights are written without their zeros; `more` are further entries of the
    card. By what its outputs are calibrated the task fits on val."""
    val = data.split("val")
    onnx.save(proof.graph, folder / GRAPH)
    if packed:
        sparse.save({key: value.numpy() for key, value in tensors(model).items()}, folder / WEIGHTS)
    else:
        save_file(tensors(model), folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone
    card = {
        "format": FORMAT,
        "kind": kind,
        "name": name,
        "architecture": architecture,
        "year": architectures.card(architecture).year,
        "task": data.task,
        "classes": list(data.classes),
        "input": {"channels": data.channels, "size": image_size.short(data.size)},
        "preprocessing": {
            "scale": "pixel / 255",
            "mean": list(data.mean),
            "std": list(data.std),
            "layout": "uint8 [N, H, W, C]",
            **data.preparation,
        },
        **task(data.task).metrics.calibrate(outputs(session(proof.graph), val.images), val.targets),
        "build": {
            "sizes": architectures.empty(architecture, sizes),
            "buffers": [key for key, _ in model.named_buffers()],
            **({"widths": widths} if widths else {}),
        },
        "sha256": integrity.digests(folder, GRAPH, WEIGHTS),
        "parity": dict(proof.parity),
        "provenance": dict(provenance),
        **more,
    }
    write_card(folder, card)
    read(folder)


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """bundle.json of the bundle in `folder`."""
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def again(folder: Path, bundle: Bundle, *, kind: str) -> Bundle:
    """`bundle` once more in `folder` as another `kind`: the same graph and weights."""
    with staged(folder) as stage:
        for name in (GRAPH, WEIGHTS):
            shutil.copyfile(bundle.folder / name, stage / name)
        write_card(stage, {**bundle.card, "kind": kind})
    return read(folder)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """The state of `model` as plain contiguous tensors on the CPU."""
    return {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
