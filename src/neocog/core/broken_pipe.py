"""Broken pipes (`neocog models | head -1`): a verb ends quietly, a stage goes on without output."""

import io
import os
import select
import sys
from contextlib import suppress
from typing import TextIO


class _Unheard(io.FileIO):
    """Text file that discards writes once its reader has closed the pipe."""

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            _discard(self.fileno())
            return len(data)


def go_on_unheard(name: str) -> None:
    """Let `sys.stdout` or `sys.stderr` (by `name`) bear that its reader leaves; one that a test or a notebook has put there stays."""
    stream = getattr(sys, name)
    if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
        return
    with suppress(BrokenPipeError):
        stream.flush()
    raw = _Unheard(stream.fileno(), "w", closefd=False)
    heard = io.TextIOWrapper(
        io.BufferedWriter(raw),  # type: ignore[type-var]
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    setattr(sys, name, heard)


def is_unread(stream: TextIO) -> bool:
    """Whether a stream is a pipe whose reader has left."""
    watched = select.poll()
    try:
        watched.register(stream.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in watched.poll(0))
    except (OSError, ValueError):  # closed, or no file at all
        return False


def flush(stream: TextIO) -> None:
    """Flush a stream; discard what cannot be written, which Python would complain about at exit."""
    try:
        stream.flush()
    except BrokenPipeError:
        _discard(stream.fileno())


def _discard(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
