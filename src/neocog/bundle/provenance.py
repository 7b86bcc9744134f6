"""Provenance of a bundle: data, params, code, libraries. Nothing that differs between equal runs (paths, times, commits) is in it."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch

from neocog.bundle.sources import PACKAGE, sources
from neocog.training.fit import Fitted

LIBRARIES = ("torch", "torchvision", "pytorch-lightning", "onnx", "onnxruntime", "onnxscript", "numpy")
ROOMS = (  # that train any network, beside its own code and its task's
    "training",
    "bundle",
    "data/augment.py",
    "data/augmentations",
    "data/decoding",
    "data/loader.py",
    "data/pixel_statistics.py",
    "data/prepared.py",
)


def code_digest(*architectures: str, task: str, rooms: Sequence[str] = ()) -> str:
    """SHA-256 over the source files that decide how `architectures` are trained for a task, and those in further `rooms`."""
    chosen = {path for architecture in architectures for path in sources(architecture, task)}
    for room in (*ROOMS, *rooms):
        path = PACKAGE / room
        chosen |= set(path.rglob("*.py")) if path.is_dir() else {path}
    total = hashlib.sha256()
    for path in sorted(chosen):
        total.update(path.relative_to(PACKAGE).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
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
    """The same, where the training really ran and how, and the origin and SHA-256 of weights that it began with."""
    asked = {**params, "train": fitted.recipe.asdict()}
    begun = getattr(fitted.model, "first_weights", None)
    return determined(data_digest=data_digest, params=asked, code_digest=code_digest) | {
        "device": fitted.device,
        "precision": fitted.precision,
        **({"first_weights": begun} if begun else {}),
    }
