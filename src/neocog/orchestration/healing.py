"""Before `dvc repro`: put right what a kill of the last one has left behind. `make repro` runs it first."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from neocog.core import integrity, lockfile, resume_state

ENDING = 30.0  # s that a stage may take to end


def heal() -> None:
    """Restore what a torn dvc.lock has lost, and let go of the locks of processes that are gone; a DVC at work here is left alone."""
    if any(_runs_stages(process.info["cmdline"]) for process in _here()):
        return
    _wait_for_stages()
    Path(".dvc/tmp/rwlock").unlink(missing_ok=True)  # it names only processes, and none of them lives
    lost = _restore()
    if lost:
        print(
            f"neocog: dvc.lock was cut off while DVC wrote it; restored from {lockfile.COPY}: {', '.join(lost)}",
            file=sys.stderr,
        )
    resume_state.remove_noted()


def _restore() -> list[str]:
    """The names of the stages whose entries were put back."""
    if not lockfile.LOCK.exists() or not lockfile.COPY.exists() or _is_as_committed():
        return []
    torn = lockfile.LOCK.read_text(encoding="utf-8", errors="replace")
    whole = lockfile.restored(torn, lockfile.COPY.read_text(encoding="utf-8"))
    if whole == torn:
        return []
    integrity.write(lockfile.LOCK, whole)
    unfinished = [f"all but {name}, which runs again" for name in lockfile.differing(whole, torn)]
    return lockfile.differing(torn, whole) or unfinished or ["its first lines"]


def _is_as_committed() -> bool:
    """Whether git has dvc.lock as it is: it was checked out, not cut off."""
    try:
        told = subprocess.run(["git", "show", f"HEAD:./{lockfile.LOCK}"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return told.returncode == 0 and told.stdout == lockfile.LOCK.read_bytes()


def _wait_for_stages() -> None:
    """Wait for the stages of a DVC that was killed: they notice within a second, and end."""
    deadline = time.monotonic() + ENDING
    while time.monotonic() < deadline and any(
        word.startswith("pipelines.") for process in _here() for word in process.info["cmdline"]
    ):
        time.sleep(0.2)


def _here() -> Iterator[psutil.Process]:
    """The processes that work in this folder or below, but for this one."""
    here = Path.cwd()
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        info = process.info
        if info["cmdline"] and info["cwd"] and info["pid"] != os.getpid() and Path(info["cwd"]).is_relative_to(here):
            yield process


def _runs_stages(command: list[str]) -> bool:
    names = [Path(word).name for word in command[:4]]
    is_ours = bool({"neocog", "neocog.cli.main"} & set(names)) and bool({"repro", "exp"} & set(names))
    return "dvc" in names[:3] or is_ours


if __name__ == "__main__":
    heal()
