"""dvc.lock, read as text: what it names, and what a copy of it puts right after a kill.

DVC writes dvc.lock in place and an entry a stage, always in the same order: killed meanwhile, it leaves the beginning of the file. DVC
runs one stage at a time, and dvc.lock is whole whenever a stage begins: then each stage keeps a copy, from which `make repro` restores.
"""

import hashlib
import json
import re
from pathlib import Path

from neocog.core import integrity

LOCK = Path("dvc.lock")
COPY = Path(".neocog") / LOCK.name
_ENTRY = re.compile(r"^  (?=\S)", re.MULTILINE)
_HEAD = "schema: '2.0'\nstages:\n"


def keep_copy() -> None:
    """Copy dvc.lock, as a stage begins; what a torn one has lost stays in the copy."""
    if LOCK.exists():
        current = LOCK.read_text(encoding="utf-8", errors="replace")
        integrity.write(COPY, restored(current, COPY.read_text(encoding="utf-8")) if COPY.exists() else current)


def restored(lock: str, copy: str) -> str:
    """`lock` if it is whole; if it was cut off while it was written, with the entries of `copy` for those that it has lost."""
    ours, theirs = _entries(lock), _entries(copy)
    names = list(ours)
    if not copy.startswith(_HEAD) or not (lock.startswith(_HEAD) or _HEAD.startswith(lock)):
        return lock  # not as DVC writes it
    last = names[-1] if names else ""
    if last and (not _is_whole(ours[last]) or _is_beginning(ours[last], theirs.get(last, ""))):
        del ours[last]
    missing = set(theirs) - set(ours)
    if list(ours) == names and not missing:
        return lock
    if missing and list(ours) != list(theirs)[: len(ours)]:
        return lock  # no beginning of what the copy was
    return _HEAD + "".join((theirs | ours).values())


def differing(lock: str, other: str) -> list[str]:
    """The names of the entries of `other` that `lock` does not have."""
    ours = _entries(lock)
    return [name for name, entry in _entries(other).items() if ours.get(name) != entry]


def names_outs(stage: str, outs: dict[str, str]) -> bool:
    """Whether dvc.lock says that `stage` made `outs`: path -> MD5, as `md5` tells it."""
    if not LOCK.exists():
        return False
    entry = _entries(LOCK.read_text(encoding="utf-8", errors="replace")).get(stage, "")
    _, _, text = entry.partition("\n    outs:\n")
    named = dict(re.findall(r"^    - path: (.+)\n      hash: md5\n      md5: (\S+)$", text, re.MULTILINE))
    return bool(outs) and all(named.get(path) == digest for path, digest in outs.items())


def md5(path: Path) -> str:
    """By which dvc.lock names the content of a file, or of a folder: then it is of the list of what is in it."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listed = [{"md5": md5(file), "relpath": name} for name, file in files]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _entries(lock: str) -> dict[str, str]:
    """The text of each stage's entry, in the order of the file."""
    head, *entries = _ENTRY.split(lock)
    del head
    return {entry.partition(":")[0].strip("'\""): f"  {entry}" for entry in entries}


def _is_whole(entry: str) -> bool:
    """Whether an entry is that of a stage that has run: its outputs stand at its end."""
    import yaml  # whoever only logs does without

    try:
        [body] = yaml.safe_load(entry).values()
        return entry.endswith("\n") and all({"path", "md5", "size"} <= set(out) for out in body["outs"])
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError):
        return False


def _is_beginning(entry: str, whole: str) -> bool:
    return entry != whole and whole.startswith(entry)
