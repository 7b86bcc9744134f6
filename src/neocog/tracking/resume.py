"""Which run goes on: the one its resume file names, unless it has finished, is at work or is kept elsewhere."""

import json
import os
import time
from pathlib import Path

from neocog.tracking.journal import WRITER, Journal, write_atomically

_SAME = ("stage", "experiment", "place")


def open_journal(folder: Path, begin: dict, file: Path | None) -> tuple[Journal, dict]:
    """The journal to write to, held as its writer, and `begin` completed with `run`, `begun` (ms) and `resumed`."""
    named = _read(file) if file is not None else {}
    if all(named.get(key) == begin[key] for key in _SAME):
        journal = Journal(folder, named["run"])
        if journal.lock(WRITER, seconds=2.0):
            if journal.ended() != "FINISHED":
                return journal, {**begin, "run": journal.run, "begun": named["begun"], "resumed": True}
            journal.unlock(WRITER)
    journal = Journal(folder, os.urandom(16).hex())
    journal.lock(WRITER)
    begin = {**begin, "run": journal.run, "begun": int(time.time() * 1000), "resumed": False}
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps({key: begin[key] for key in ("run", "begun", *_SAME)}))
    return journal, begin


def forget(file: Path, run: str) -> None:
    """The run has finished: the next start begins a new one."""
    if _read(file).get("run") == run:
        file.unlink(missing_ok=True)


def _read(file: Path) -> dict:
    try:
        named = json.loads(file.read_text())
        int(named["run"][:15], 16)
        int(named["begun"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return named
