"""What is kept for a whole run: the graph, and what DVC parses or opens anew for each stage, params and its database of links."""

import copy
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def kept(repo: Any) -> Iterator[None]:
    """Keep them while stages of `repo` are run."""
    gc.collect()
    gc.freeze()  # the graph lives as long as the run: no look at all of its objects again and again
    try:
        with _parsed_params(), _open_links(repo):
            yield
    finally:
        gc.unfreeze()


@contextmanager
def _parsed_params() -> Iterator[None]:
    """Let DVC's dependencies on params (seven times a stage) use what was parsed before, as long as inode, size and time are the same."""
    from dvc.dependency import param

    original, known = param.load_path, dict[str, tuple[tuple[int, ...], Any]]()

    def load_path(path: str, fs: Any, **kwargs: Any) -> Any:
        if kwargs or fs.protocol != "local":
            return original(path, fs, **kwargs)
        found = os.stat(path)  # noqa: PTH116
        stamp = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        if path not in known or known[path][0] != stamp:
            known[path] = stamp, original(path, fs)
        return copy.deepcopy(known[path][1])

    param.load_path = load_path
    try:
        yield
    finally:
        param.load_path = original


@contextmanager
def _open_links(repo: Any) -> Iterator[None]:
    """Let the database in which DVC notes each out that it has linked stay open: opening it takes sixty statements."""
    links = getattr(repo.state, "links", None)
    if links is None:  # DVC's StateNoop
        yield
        return
    links.close = lambda: None
    try:
        yield
    finally:
        del links.close
        links.close()
