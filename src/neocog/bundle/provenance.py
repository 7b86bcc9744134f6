"""What determines a bundle: data, params, code, libraries. Nothing that differs between equal runs (paths, times, commits) is in it."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from neocog.training.fit import Fitted

LIBRARIES = ("torch", "torchvision", "pytorch-lightning", "onnx", "onnxruntime", "onnxscript", "numpy")
SOURCE = Path(__file__).parents[1]
DETERMINING = (
    "training",
    "tasks",
    "bundle",
    "architectures/blocks",
    "architectures/__init__.py",
    "data/augment.py",
    "data/loader.py",
    "data/prepared.py",
)


def code_digest(architecture: str, *more: str) -> str:
    """SHA-256 over the source files that decide how `architecture` trains, and those in the folders `more`."""
    chosen: list[Path] = []
    for part in (*DETERMINING, *more, f"architectures/{architecture}.py"):
        path = SOURCE / part
        chosen += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    total = hashlib.sha256()
    for path in chosen:
        total.update(path.relative_to(SOURCE).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def determined(*, data_digest: str, params: Mapping[str, Any], code_digest: str) -> dict[str, Any]:
    """The `provenance` entry of a card, of a bundle for which nothing was trained."""
    return {
        "data_digest": data_digest,
        "params": dict(params),
        "code_digest": code_digest,
        "seed": params["train"]["seed"],
        "libraries": {name: version(name) for name in LIBRARIES},
        "threads": torch.get_num_threads(),
    }


def provenance(fitted: Fitted, *, data_digest: str, params: Mapping[str, Any], code_digest: str) -> dict[str, Any]:
    """The same, and where the training really ran and how."""
    asked = {**params, "train": fitted.recipe.asdict()}
    return determined(data_digest=data_digest, params=asked, code_digest=code_digest) | {
        "device": fitted.device,
        "precision": fitted.precision,
    }
