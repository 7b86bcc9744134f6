"""Find the image files of a command line: files, and everything below folders."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from neocog.data.sources import leftovers
from neocog.data.sources.listing import spelt


@dataclass(frozen=True)
class File:
    """A file to open, or the `reason` why it must not be."""

    path: Path
    reason: str = ""

    @property
    def name(self) -> str:
        """Its path as it can be written anywhere."""
        return spelt(str(self.path))


def find(named: Sequence[Path]) -> list[File]:
    """`named` in that order; a folder stands for all files below it, sorted by path. Links to folders in it are not followed."""
    found: list[File] = []
    for path in named:
        if os.path.isdir(path):  # noqa: PTH112 - pathlib's raises at a name too long
            found += list(_below(path)) or [File(path, "empty folder: no file is in it")]
        else:
            found.append(_file(path))
    return found


def _below(folder: Path) -> Iterator[File]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield File(folder, f"unreadable: {error.strerror}")
        return
    for entry in entries:
        path = folder / entry.name
        if leftovers.kind(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(path)
        elif path.is_dir():
            yield File(path, "linked folder: links to folders are not followed")
        else:
            yield _file(path)


def _file(path: Path) -> File:
    """A regular file, or a refusal of devices, pipes and sockets; a missing file is reported when it is opened."""
    odd = os.path.exists(path) and not os.path.isfile(path)  # noqa: PTH110, PTH113 - pathlib's raise at a name too long
    return File(path, "no file: a device, pipe or socket" if odd else "")
