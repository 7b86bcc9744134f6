"""Detect folders that are no class folders: one level too high, or splits under names of their own."""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from neocog.core.errors import UserError

_DEEPEST, _MOST = 3, 400  # levels below data.root, and folders, in which the class folders are looked for
_SPLITS = ("train", "val", "test")
Classes = Callable[[Path], Mapping[str, int]]  # a folder's classes and their number of files; UserError if it has none


def check_layout(root: Path, files: Mapping[str, Collection[str]], classes: Classes = lambda _: {}) -> None:
    """Refuse `files` (class -> folders below its own that hold files) when the classes lie deeper; say where.

    A class may hold folders, but: a single one that holds nothing else, and several that hold folders of the same
    names, are no classes. Raises UserError.
    """
    inside = {name: _folders(paths) for name, paths in files.items()}
    hollow = [name for name, folders in inside.items() if folders]
    where = f"data.root (={str(root)!r})"
    if len(hollow) == len(files) == 1:
        raise UserError(
            f"{where}: {hollow[0]!r} holds folders and no image of its own, so it is no class{_hint(root, classes)}"
        )
    shared = [name for name, count in Counter(f for name in hollow for f in inside[name]).items() if count > 1]
    alike = [name for name in hollow if len(shared) > 1 and 2 * len(inside[name] & {*shared}) > len(inside[name])]
    if len(alike) > 1 and 2 * len(alike) >= len(files):
        raise UserError(
            f"{where}: {_some(alike)} hold folders of the same names ({_some(sorted(shared))}), so they are no classes"
            f"{_renamed(alike, files)}{_hint(root, classes)}; if {_some(alike)} are the classes after all, move their "
            "images out of those folders"
        )


def hint_above(root: Path, classes: Classes) -> str:
    """Half a sentence for images that lie directly in `root`: the folder above, if its folders are classes."""
    above = Path(*root.parts[:-1]) if len(root.parts) > 1 else root / ".."
    found = _classes(above, classes)
    return (
        f"; if it is a class beside {_some(sorted({*found} - {root.name}))}, write data.root: {_written(above)}"
        if found
        else ""
    )


def _folders(paths: Iterable[str]) -> set[str]:
    """The first steps of `paths`, below those that all share; empty where a file lies directly in the class."""
    found = [path.split("/") if path else [] for path in paths]
    while found and all(found):
        names = {steps[0] for steps in found}
        if len(names) > 1 or any(len(steps) == 1 for steps in found):
            return names
        found = [steps[1:] for steps in found]
    return set()


def _renamed(names: Sequence[str], files: Mapping[str, Collection[str]]) -> str:
    """The names that would make given splits of `names`, where these say which is which and no other folder is there."""
    split_of = {name: [split for split in _SPLITS if split in name.lower()] for name in names}
    fits = all(len(found) == 1 for found in split_of.values()) and len({*map(tuple, split_of.values())}) == len(names)
    flat = all("/" not in path for name in names for path in files[name])
    if not (fits and flat and ["train"] in split_of.values() and len(names) == len(files)):
        return ""
    return "; rename " + ", ".join(f"{name!r} to {found[0]!r}" for name, found in sorted(split_of.items()))


def _hint(root: Path, classes: Classes) -> str:
    """Half a sentence with the folder to write instead: the uppermost that holds classes, of several one for training."""
    level = [root]
    for _ in range(_DEEPEST):
        level = [entry for folder in level for entry in _subfolders(folder)][:_MOST]
        found = {folder: names for folder in level if (names := _classes(folder, classes))}
        if found:
            best = min(found, key=lambda folder: ("train" not in str(folder).lower(), -sum(found[folder].values())))
            return f"; if {_some(sorted(found[best]))} are the classes, write data.root: {_written(best)}"
    return ""


def _classes(folder: Path, classes: Classes) -> Mapping[str, int]:
    try:
        found = classes(folder)
    except UserError:
        return {}
    return found if len(found) > 1 else {}


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return []


def _written(path: Path) -> str:
    """A path as YAML takes it."""
    return str(path) if re.fullmatch(r"[\w./][\w./-]*", str(path)) else json.dumps(str(path), ensure_ascii=False)


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (" ..." if len(names) > 3 else "")
