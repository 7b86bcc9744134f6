"""Resume an MLflow run: the one that its resume file names, unless its settings or store differ or it is still running."""

import hashlib
import json
import os
import time
from pathlib import Path

from neocog.core import integrity, resume_state
from neocog.tracking.journal import WRITER, Journal

_SAME = ("stage", "experiment", "place")
_RUNS = Path(".neocog") / "runs"


def memory(stage: str) -> Path:
    """The resume file of a stage that has no working checkpoint."""
    return _RUNS / f"{stage}.json"


def open_journal(folder: Path, begin: dict, file: Path | None) -> tuple[Journal, dict]:
    """The journal to write to, held as its writer, and `begin` completed with `run`, `begun` (ms) and `resumed`."""
    named = _read(file) if file is not None else {}
    about = {**{key: begin[key] for key in _SAME}, "about": _about(begin)}
    if all(named.get(key) == value for key, value in about.items()):
        journal = Journal(folder, named["run"])
        if journal.lock(WRITER, seconds=2.0):
            return journal, {**begin, "run": journal.run, "begun": named["begun"], "resumed": True}
    journal = Journal(folder, os.urandom(16).hex())
    journal.lock(WRITER)
    begin = {**begin, "run": journal.run, "begun": int(time.time() * 1000), "resumed": False}
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        integrity.write(file, json.dumps({"run": begin["run"], "begun": begin["begun"], **about}))
    return journal, begin


def forget(file: Path, run: str) -> None:
    """The run has finished: the next start begins a new one, or under DVC the first one after dvc.lock names what was made."""
    if _read(file).get("run") == run:
        resume_state.remove(file)


def _about(begin: dict) -> str:
    """Changes with what the run is about: data, bundle, settings."""
    content = json.dumps([begin.get("tags"), begin.get("config")], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _read(file: Path) -> dict:
    try:
        named = json.loads(file.read_text())
        int(named["run"][:15], 16)
        int(named["begun"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return named
