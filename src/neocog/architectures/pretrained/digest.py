"""SHA-256 of the file of first weights that a block names. No torch."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BUNDLE_WEIGHTS, CARD = "weights.safetensors", "bundle.json"  # of a bundle's folder


def of_file(sizes: Mapping[str, Any]) -> dict[str, str]:
    """`{"weights": sha256}` where `sizes` names a file or a bundle that is there; else {}: then nothing tells it before the training."""
    if not (named := sizes.get("weights")):
        return {}
    path = Path(named) / BUNDLE_WEIGHTS if Path(named).is_dir() else Path(named)
    return {"weights": hashlib.sha256(path.read_bytes()).hexdigest()} if path.is_file() else {}
