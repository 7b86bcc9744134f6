"""Whole files: replaced at once or left as they were, and checked by the SHA-256 in a card beside them.

DVC trusts what lies read-only in its cache, and hands out a damaged object as it is: so digests are compared when files are read.
"""

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

REPAIR = "run `chmod -R u+w $(dvc cache dir)`, so that DVC checks its cache, then `dvc repro --force {stage}`"


def digests(folder: Path, *names: str) -> dict[str, str]:
    """SHA-256 of files in `folder`, by name."""
    return {name: _sha256(folder / name) for name in names}


def changed(folder: Path, written: Mapping[str, str], *names: str) -> str | None:
    """The first file of `names` (default: all) in `folder` that is not what was `written`. Each is read once a process."""
    for name in names or written:
        found = (folder / name).stat()
        stamp = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        if name in written and _known(folder / name, stamp) != written[name]:
            return name
    return None


@cache
def _known(path: Path, stamp: tuple[int, ...]) -> str:
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, text: str) -> None:
    """Replace the file `path` as a whole, or leave it as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
