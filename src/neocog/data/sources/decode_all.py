"""Decode many image files in several processes: bounded memory, and a worker that dies ends nothing."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any, Unpack

from PIL import Image

from neocog.core.errors import NeocogError
from neocog.core.machine import cores
from neocog.data.decoding.decode import Decoded, Preparation, decode
from neocog.data.decoding.encoded import Encoded, fetched
from neocog.data.sources.listing import spelt

_CHUNK_BYTES = 1 << 22  # of decoded rows that travel between processes at a time
_KILLERS = 3  # files that may each kill their process before the machine is blamed instead


def decode_all(
    root: Path,
    paths: Sequence[str],
    *,
    workers: int = 0,
    encoded: Sequence[Encoded] | None = None,
    mean_bytes: int = 0,
    store: str = "packed",
    **how: Unpack[Preparation],
) -> Iterator[tuple[int, Decoded]]:
    """Decode `root`/`paths[i]`, yielding (i, what it gave) in no particular order; `workers` 0 means all cores.

    Where images are no files of their own, `encoded[i]` is image i, asked for in ascending order (again only after a process was killed),
    and `mean_bytes` the length of those that travel to the processes. With the `store` encoded, bytes come back in place of pixels.

    When a process is killed, the files it may have been reading are tried again one by one. One that kills its process
    twice is refused; after three of those raises NeocogError, since then it is hardly the files.
    """
    task = partial(_decode_chunk, store, how)
    images = encoded if encoded is not None else _Files(root, paths)
    step = max(1, min(64, _CHUNK_BYTES // max(mean_bytes, prod(how["size"]) * how["channels"])))
    workers = max(1, min(workers or cores(), len(paths)))
    todo = _chunks(len(paths), workers=workers, most=step)[::-1]
    killers: list[str] = []
    while todo:
        lost: list[Sequence[int]] = []
        yield from _drain(task, images, todo, lost, workers=workers, ahead=2 * workers)
        suspects: list[Sequence[int]] = [[i] for i in sorted((i for chunk in lost for i in chunk), reverse=True)]
        while suspects:  # the last is taken first
            again: list[Sequence[int]] = []
            yield from _drain(task, images, suspects, again, workers=1, ahead=1)
            for [i] in again:
                killers.append(spelt(paths[i]))
                yield i, Decoded(reason="killed its reader: the process that read it died twice, perhaps out of memory")
            if len(killers) >= _KILLERS:
                raise NeocogError(
                    f"processes that decode images keep being killed (lately at {', '.join(killers)}): most likely "
                    f"memory is short; lower data.workers (={workers}) or data.max_pixels (={how['max_pixels']})"
                )


def _chunks(count: int, *, workers: int, most: int) -> list[Sequence[int]]:
    """0 to `count` in pieces of at most `most`, smaller towards the end, so that all processes end at the same time."""
    chunks: list[Sequence[int]] = []
    start = 0
    while start < count:
        stop = start + max(1, min(most, (count - start) // (4 * workers)))
        chunks.append(range(start, stop))
        start = stop
    return chunks


def _drain(
    task: partial[list[Decoded]],
    images: Sequence[Encoded],
    todo: list[Sequence[int]],
    lost: list[Sequence[int]],
    *,
    workers: int,
    ahead: int,
) -> Iterator[tuple[int, Decoded]]:
    """Work off `todo`, `ahead` chunks at a time, until it is empty or a process dies; what was under way is `lost`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_settle)
    flying: dict[Future[list[Decoded]], Sequence[int]] = {}
    try:
        while todo or flying:
            while todo and len(flying) < ahead:
                chunk = todo.pop()
                try:
                    with _no_main():
                        flying[pool.submit(task, [images[i] for i in chunk])] = chunk
                except BrokenProcessPool:
                    lost.append(chunk)
                    break
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                chunk = flying.pop(future)
                try:
                    decoded = future.result()
                except BrokenProcessPool:
                    lost.append(chunk)
                    continue
                yield from zip(chunk, decoded, strict=True)
            if lost:
                lost += flying.values()
                return
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _no_main() -> Iterator[None]:
    """Processes started meanwhile do not import the caller's main module again: slow, not needed, and not always there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _decode_chunk(store: str, how: Preparation, images: Sequence[Encoded]) -> list[Decoded]:
    return [decode(image, store=store, **how) for image in fetched(images)]


class _Files(Sequence[Encoded]):
    """Files below `root`, as they are asked for."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root, self.paths = root, paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: Any) -> Any:
        return Path(self.root, self.paths[i])


def _settle() -> None:
    """A decoding process leaves Ctrl-C to its parent, ends when the parent is gone, and knows its own cap on pixels."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Image.MAX_IMAGE_PIXELS = None
    parent = multiprocessing.parent_process()
    assert parent is not None

    def leave_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()
