"""Atomic checkpoints, which a kill at any moment cannot spoil.

A checkpoint is written to a temporary file in its own folder, flushed to disk and renamed; its name carries its
checksum, so name and content can never disagree. The one before is removed only when the new one is safe, so there is
always one that loads.
"""

import errno
import hashlib
import io
import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io import CheckpointIO

from neocog.core.errors import NeocogError, UserError

NAME = re.compile(r"epoch-(\d+)\.([0-9a-f]{16})\.ckpt$")


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's way to disk: `folder/epoch-3.ckpt` becomes `folder/epoch-3.<checksum>.ckpt`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getbuffer()
        target = Path(path)
        target = target.with_name(f"{target.stem}.{hashlib.sha256(content).hexdigest()[:16]}.ckpt")
        write(target, content)
        for other in found(target.parent):
            if other != target:
                other.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return load(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def write(target: Path, content: bytes | memoryview) -> None:
    """Write `content` to `target` so that after a kill or a power cut either the old or the new file is there, whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NeocogError(
                f"the disk is full: {target} ({len(content):,} bytes) could not be written; free some space and run the same command: "
                "it continues from the last good checkpoint"
            ) from error
        raise
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def found(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, newest first, whole or not."""
    return sorted((path for path in folder.glob("epoch-*.ckpt") if NAME.search(path.name)), key=_epoch, reverse=True)


def latest(folder: Path) -> Path | None:
    """The newest checkpoint in `folder` whose content has the checksum in its name; leftovers of a kill are cleared away."""
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)
    for path in found(folder):
        match = NAME.search(path.name)
        if match and hashlib.sha256(path.read_bytes()).hexdigest().startswith(match[2]):
            return path
    return None


def load(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU: tensors and plain values only, nothing that could run code."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{path} is no checkpoint of neocog ({type(error).__name__}), and none of it was run; "
            "remove it, and the same command begins anew"
        ) from error


def _epoch(path: Path) -> int:
    match = NAME.search(path.name)
    return int(match[1]) if match else -1
