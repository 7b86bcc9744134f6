"""Sparse weights in their file: one bit for each element, and the values of those that are not 0.

At 80 % of zeros that is 0.9 bytes an element in the place of 4. The graph keeps its zeros: ONNX knows `sparse_initializer`, and ONNX
Runtime 1.31 loads it with equal answers, but its indices must be int64, so that 2.4 bytes an element remain (4.2 MB in the place of
2.8 MB for a ResNet of half zeros, 1.7 MB at 80 %), and neither the quantization tools nor those that count read it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

MASK, VALUES = ".mask", ".values"  # what stands for `name` in the file
SHAPES = "sparse"  # entry of the file's metadata: {name: shape} as JSON
ENTRY = 250  # bytes that two more tensors take in the file's header
Arrays = dict[str, np.ndarray[Any, Any]]
Shape = tuple[int, ...]


def save(tensors: Mapping[str, np.ndarray[Any, Any]], path: Path) -> None:
    """Write `tensors` as safetensors, packed where that takes less room."""
    packed, shapes = pack(tensors)
    save_file(packed, path, metadata={SHAPES: json.dumps(shapes)})
    path.chmod(0o644)  # safetensors writes for the owner alone


def load(path: Path) -> Arrays:
    """The tensors of a safetensors file, packed or not. Raises SafetensorError when it is none."""
    with safe_open(path, framework="numpy") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a method, not a mapping
        return unpack(found, json.loads((file.metadata() or {}).get(SHAPES, "{}")))


def shapes(path: Path) -> dict[str, Shape]:
    """The shape of each tensor that `load` gives, read from the file's header alone."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    packed = json.loads(header.pop("__metadata__", {}).get(SHAPES, "{}"))
    whole = {name: entry["shape"] for name, entry in header.items() if name not in _parts(packed)} | packed
    return {name: tuple(shape) for name, shape in whole.items()}


def pack(tensors: Mapping[str, np.ndarray[Any, Any]]) -> tuple[Arrays, dict[str, Shape]]:
    """`tensors`, each that takes less room so as `name.mask` (uint8, a bit an element) and `name.values`; and the shapes of these."""
    packed: Arrays = {}
    shapes: dict[str, Shape] = {}
    for name, tensor in tensors.items():
        flat = np.ascontiguousarray(tensor).reshape(-1)
        # by their bytes, so that -0.0 stays what it is
        kept = flat.view(np.uint8).reshape(flat.size, flat.itemsize).any(1) if flat.size else flat.astype(bool)
        if flat.size / 8 + kept.sum() * flat.itemsize + ENTRY < flat.nbytes:
            packed |= {name + MASK: np.packbits(kept), name + VALUES: flat[kept]}
            shapes[name] = tensor.shape
        else:
            packed[name] = tensor
    return packed, shapes


def unpack(packed: Mapping[str, np.ndarray[Any, Any]], shapes: Mapping[str, Shape]) -> Arrays:
    """What `pack` was given, bit for bit."""
    whole = {name: tensor for name, tensor in packed.items() if name not in _parts(shapes)}
    for name, shape in shapes.items():
        whole[name] = np.zeros(shape, packed[name + VALUES].dtype)
        kept = np.unpackbits(packed[name + MASK], count=whole[name].size).view(bool)
        whole[name].reshape(-1)[kept] = packed[name + VALUES]
    return whole


def _parts(names: Iterable[str]) -> set[str]:
    return {name + part for name in names for part in (MASK, VALUES)}
