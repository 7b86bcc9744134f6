"""What `--tiny` runs on: digits, and a small network as it begins."""

from pathlib import Path
from typing import Any

import torch

from neocog import architectures
from neocog.bundle import write
from neocog.bundle.read import Bundle
from neocog.data.prepare import prepare
from neocog.data.prepared import Prepared


def digits(folder: Path) -> Prepared:
    """scikit-learn's digits, prepared in `folder`/data/prepared."""
    return prepare(folder / "data" / "prepared", source="digits", root="unused")


def lenet(folder: Path, data: Prepared) -> Bundle:
    """An untrained LeNet as a bundle in `folder`/models/trained/lenet."""
    torch.manual_seed(0)
    sizes = {"width": 1}
    shape: dict[str, Any] = {"channels": data.channels, "size": data.size, "classes": len(data.classes)}
    model = architectures.build("lenet", **shape, sizes=sizes).eval()
    card = {"kind": "trained", "name": "lenet", "architecture": "lenet", "sizes": sizes}
    made = {"data_digest": data.digest, "params": {}, "seed": 0, "libraries": {}}
    return write.write(folder / "models" / "trained" / "lenet", model, data, **card, provenance=made)
