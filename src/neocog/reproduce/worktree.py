"""Temporary git worktree of a commit, removed at the end whatever happens."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neocog.core.errors import NeocogError, sigterm_raises
from neocog.reproduce.git import Project

NAMED = "neocog-reproduce-"  # and the process that made it


@contextmanager
def clean(project: Project, commit: str, *, keep: bool = False) -> Iterator[Path]:
    """The project's folder in a worktree of `commit`. Removed at the end, at Ctrl-C and at SIGTERM, but not with `keep`.

    What a kill -9 left is removed by the next one.
    """
    _sweep(project)
    folder = Path(tempfile.mkdtemp(prefix=f"{NAMED}{os.getpid()}-"))
    with sigterm_raises():
        try:
            project.git("-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach", "--quiet", str(folder), commit)
            yield folder / project.prefix
        finally:
            if not keep:
                _remove(project, folder)


def _remove(project: Project, folder: Path) -> None:
    for _ in range(20):  # something may still be writing its last words
        with suppress(NeocogError):
            project.git(
                "worktree", "remove", "--force", "--force", str(folder)
            )  # twice: one still being made is locked
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.1)
    with suppress(NeocogError):
        project.git("worktree", "unlock", str(folder))
    project.git("worktree", "prune")


def _sweep(project: Project) -> None:
    import psutil

    for line in project.git("worktree", "list", "--porcelain").splitlines():
        folder = Path(line.removeprefix("worktree "))
        if line.startswith("worktree ") and folder.name.startswith(NAMED):
            maker = folder.name.removeprefix(NAMED).partition("-")[0]
            if maker.isdigit() and not psutil.pid_exists(int(maker)):
                _remove(project, folder)
