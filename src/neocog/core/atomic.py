"""Atomic folders, written beside their place and moved into it; and locks between processes."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from neocog.core.errors import Busy, NeocogError, of_disk


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which takes the place of `folder` when the block ends without an error.

    A kill leaves `.<name>.partial` behind, which the next writer empties. Raises Busy when another process
    is writing the same folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = folder.parent / f".{folder.name}.partial"
    stage.mkdir(exist_ok=True)
    descriptor = os.open(stage, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{folder}: another process is writing it; wait for it to end, or end it") from None
        if not _is_still_there(stage, descriptor):
            raise Busy(f"{folder}: another process has just written it; run the same again")
        _empty(stage)
        try:
            yield stage
        except BaseException as error:
            shutil.rmtree(stage, ignore_errors=True)
            if not isinstance(error, NeocogError) and (said := of_disk(error, folder)) is not None:
                raise said from error
            raise
        old = folder.parent / f".{folder.name}.old"
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        stage.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        os.close(descriptor)


@contextmanager
def lock(path: Path, *, busy: str = "") -> Iterator[TextIO]:
    """Hold the lock file `path`, which the system frees however the process ends.

    Waits for its turn; with a sentence `busy` it raises Busy instead, saying as `{holder}` what the holder has written into the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            file.seek(0)
            raise Busy(busy.replace("{holder}", file.read().strip())) from None
        yield file


def _is_still_there(stage: Path, descriptor: int) -> bool:
    """Whether `stage` is what was locked: until then, its last writer may have moved it into place."""
    try:
        return os.path.samestat(os.fstat(descriptor), stage.stat())
    except FileNotFoundError:
        return False


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
