"""DVC's locks of paths (.dvc/tmp/rwlock), held by several running stages of one process: written once a stage, counted by path.

DVC's own releases a path that two stages of a process read as soon as the first of them ends.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

READ, WRITE = "read", "write"


class PathLocks:
    """What the running stages read and write. `acquire` raises DVC's LockError while another process is at one of these paths."""

    def __init__(self) -> None:
        self._held: Counter[tuple[str, str]] = Counter()
        self._of: dict[Any, list[tuple[str, str]]] = {}
        self._original: Callable[..., Any] | None = None
        self._context: tuple[Any, ...] = ()

    def acquire(self, stage: Any) -> None:
        """Hold what `stage` reads and writes."""
        import sys

        from dvc import rwlock

        repo = stage.repo
        self._context = (repo.tmp_dir, repo.fs, " ".join(sys.argv), repo.config["core"].get("hardlink_lock", False))
        wanted = [(READ, path) for path in _paths(stage.deps)] + [(WRITE, path) for path in _paths(stage.outs)]
        new = [each for each in wanted if not self._held[each]]
        with self._edit() as (lock, info):
            reads, writes = _of(READ, new), _of(WRITE, new)
            rwlock._check_blockers(repo.tmp_dir, lock, info, mode=WRITE, waiters=reads + writes)
            rwlock._check_blockers(repo.tmp_dir, lock, info, mode=READ, waiters=writes)
            rwlock._acquire_read(lock, info, reads)
            rwlock._acquire_write(lock, info, writes)
        self._held.update(wanted)
        self._of[stage] = wanted

    def release(self, stage: Any) -> None:
        """Let go of what no other running stage holds."""
        wanted = self._of.pop(stage, [])
        self._held.subtract(wanted)
        gone = [each for each in dict.fromkeys(wanted) if self._held[each] <= 0]
        if gone:
            self._forget(gone)

    def release_all(self) -> None:
        """Let go of everything."""
        for stage in list(self._of):
            self.release(stage)

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Let DVC's own locking leave out what is held already."""
        from dvc import rwlock

        self._original = original = rwlock.rwlock

        @contextmanager
        def counted(  # noqa: PLR0917 - DVC's own signature
            tmp_dir: str, fs: Any, cmd: str, read: list[str], write: list[str], hardlink: bool
        ) -> Iterator[None]:
            read = [path for path in read if not self._held[READ, path] and not self._held[WRITE, path]]
            write = [path for path in write if not self._held[WRITE, path]]
            if not read and not write:
                yield
                return
            with original(tmp_dir, fs, cmd, read, write, hardlink):
                yield

        rwlock.rwlock = counted
        try:
            yield
        finally:
            rwlock.rwlock = original
            self.release_all()

    def _forget(self, gone: list[tuple[str, str]]) -> None:
        from dvc import rwlock

        with self._edit() as (lock, info):
            for kind, release in ((READ, rwlock._release_read), (WRITE, rwlock._release_write)):
                for path in _of(kind, gone):
                    with suppress(AssertionError):  # somebody has removed the file meanwhile
                        release(lock, info, [path])

    @contextmanager
    def _edit(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        import os

        from dvc import rwlock

        tmp_dir, fs, command, hardlink = self._context
        with rwlock._edit_rwlock(tmp_dir, fs, hardlink) as lock:
            yield lock, {"pid": os.getpid(), "cmd": command}


def _paths(items: Any) -> list[str]:
    from dvc.dependency.db import AbstractDependency
    from dvc.dependency.repo import RepoDependency

    return [item.fs_path for item in items if not isinstance(item, RepoDependency | AbstractDependency)]


def _of(kind: str, held: list[tuple[str, str]]) -> list[str]:
    return [path for each, path in held if each == kind]
