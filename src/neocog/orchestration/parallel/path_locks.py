"""DVC's locks of paths (.dvc/tmp/rwlock), held by several running stages of one process: written once a stage, counted by path.

DVC's own releases a path that two stages of a process read as soon as the first of them ends; and for each edit it parses and judges all
paths that are held, which with 300 stages at once takes longer than all else that is done for a stage.
"""

import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

READ, WRITE = "read", "write"


class PathLocks:
    """What the running stages read and write. `acquire` raises DVC's LockError while another process is at one of these paths."""

    def __init__(self) -> None:
        self._held: Counter[tuple[str, str]] = Counter()
        self._of: dict[Any, list[tuple[str, str]]] = {}
        self._gone: dict[tuple[str, str], None] = {}  # released, and still in the file
        self._file = ""  # what this process has written into it
        self._locks: dict[str, Any] = {}  # the same, parsed
        self._repo: Any = None

    def acquire(self, stage: Any) -> None:
        """Hold what `stage` reads and writes."""
        from dvc import rwlock

        self._repo = stage.repo
        wanted = [(READ, path) for path in _paths(stage.deps)] + [(WRITE, path) for path in _paths(stage.outs)]
        new = [each for each in wanted if not self._held[each]]
        with self._edit() as (lock, info, is_ours):
            self._forget(lock, info)
            reads, writes = _of(READ, new), _of(WRITE, new)
            if not is_ours:
                rwlock._check_blockers(self._repo.tmp_dir, lock, info, mode=WRITE, waiters=reads + writes)
                rwlock._check_blockers(self._repo.tmp_dir, lock, info, mode=READ, waiters=writes)
            rwlock._acquire_read(lock, info, reads)
            rwlock._acquire_write(lock, info, writes)
        self._held.update(wanted)
        self._of[stage] = wanted

    def release(self, stage: Any) -> None:
        """Let go of what no other running stage holds; others see it after `flush` or the next `acquire`."""
        for each in self._of.pop(stage, []):
            self._held[each] -= 1
            if self._held[each] <= 0:
                del self._held[each]
                self._gone[each] = None

    def flush(self) -> None:
        """Let other processes see what was released."""
        if self._gone:
            with self._edit() as (lock, info, _):
                self._forget(lock, info)

    def release_all(self) -> None:
        """Let go of everything."""
        for stage in list(self._of):
            self.release(stage)
        self.flush()

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Let DVC's own locking leave out what is held already."""
        from dvc import rwlock

        original = rwlock.rwlock

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

    def _forget(self, lock: dict[str, Any], info: dict[str, Any]) -> None:
        from dvc import rwlock

        gone = [each for each in self._gone if not self._held[each]]
        for kind, release in ((READ, rwlock._release_read), (WRITE, rwlock._release_write)):
            for path in _of(kind, gone):
                with suppress(AssertionError):  # somebody has removed the file meanwhile
                    release(lock, info, [path])
        self._gone.clear()

    @contextmanager
    def _edit(self) -> Iterator[tuple[dict[str, Any], dict[str, Any], bool]]:
        """The locks of all processes, which are written afterwards; this process as DVC notes it; whether all of them are its own."""
        from dvc import rwlock
        from dvc.lock import make_lock

        repo = self._repo
        folder = Path(repo.tmp_dir)
        info = {"pid": os.getpid(), "cmd": " ".join(sys.argv)}
        hardlink = repo.config["core"].get("hardlink_lock", False)
        guard = make_lock(str(folder / rwlock.RWLOCK_LOCK), tmp_dir=repo.tmp_dir, hardlink_lock=hardlink)
        path = folder / rwlock.RWLOCK_FILE
        with guard:
            try:
                text = path.read_text(encoding="utf-8")
            except FileNotFoundError:
                text = ""
            is_ours = text == self._file != ""
            lock = self._locks if is_ours else _parsed(text, path)
            lock = {WRITE: defaultdict(dict, lock.get(WRITE, {})), READ: defaultdict(list, lock.get(READ, {}))}
            yield lock, info, is_ours
            others = [each for each in lock.get(WRITE, {}).values() if each != info]
            others += [each for readers in lock.get(READ, {}).values() for each in readers if each != info]
            written = json.dumps(lock)
            path.write_text(written, encoding="utf-8")
            self._file, self._locks = ("", {}) if others else (written, lock)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    from dvc import rwlock
    from voluptuous import Invalid

    try:
        return dict(rwlock.SCHEMA(json.loads(text or "{}")))
    except json.JSONDecodeError as error:
        raise rwlock.RWLockFileCorruptedError(str(path)) from error
    except Invalid as error:
        raise rwlock.RWLockFileFormatError(str(path)) from error


def _paths(items: Any) -> list[str]:
    from dvc.dependency.db import AbstractDependency
    from dvc.dependency.repo import RepoDependency

    return [item.fs_path for item in items if not isinstance(item, RepoDependency | AbstractDependency)]


def _of(kind: str, held: list[tuple[str, str]]) -> list[str]:
    return [path for each, path in held if each == kind]
