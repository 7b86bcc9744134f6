"""What lies where in a folder of images, before any of it is read.

`<root>/<class>/**/<file>`, or `<root>/{train,val,test}/<class>/**/<file>` (`valid` and `validation` are val; what is
not there is cut out of train). Any file name will do; kinds are told by content, not by suffix. Hidden files,
`Thumbs.db`, `desktop.ini` and `__MACOSX` are passed over. Links out of the folder are refused, linked folders too.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from neocog.data.prepared import SPLITS
from neocog.errors import UserError

_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_PASSED_OVER = {"thumbs.db", "desktop.ini", "__macosx"}
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}


@dataclass
class Listing:
    """The files of an image folder, sorted by path; `paths` are relative to `root` and in the system's spelling."""

    root: Path
    classes: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    carved: tuple[str, ...] = ()
    refused: list[tuple[str, str]] = field(default_factory=list)


def spelt(path: str) -> str:
    """A path that can be written anywhere: bytes that are no text become \\x.."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def list_images(root: Path) -> Listing:
    """List the files below `root` by split and class. Raises UserError when they do not lie in class folders."""
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise UserError(f"data.root (={str(root)!r}) {what}; name the folder that holds one folder a class")
    listing = Listing(root.resolve())
    splits = _split_folders(listing)
    listing.carved = tuple(split for split in ("val", "test") if split not in splits.values())
    files: list[tuple[str, str, str]] = []  # split, class, path
    found: set[str] = set()
    for folder, split in splits.items():
        for name in _class_folders(listing, folder):
            found.add(_class_name(name))
            files += [(split, _class_name(name), path) for path in _files(listing, f"{folder}{name}")]
    if not found:
        raise UserError(
            f"data.root (={str(root)!r}) holds no class folders; images are expected as {root}/<class>/<image>, "
            f"or {root}/train/<class>/<image>"
        )
    listing.classes = sorted(found)
    number = {name: label for label, name in enumerate(listing.classes)}
    for split, name, path in sorted(files, key=lambda file: os.fsencode(file[2])):
        listing.paths.append(path)
        listing.given.append(split)
        listing.labels.append(number[name])
    listing.refused = sorted(set(listing.refused))
    return listing


def _split_folders(listing: Listing) -> dict[str, str]:
    """Folder prefix -> split. A folder `train` that itself holds folders makes the layout one of splits."""
    names = [entry.name for entry in _entries(listing, "") if _is_folder(entry)]
    if "train" not in names or not any(_is_folder(entry) for entry in _entries(listing, "train")):
        return {"": "train"}
    strangers = [name for name in names if name not in _FOLDERS]
    if strangers:
        raise UserError(
            f"data.root (={str(listing.root)!r}): {', '.join(map(repr, strangers[:5]))} lie beside train/; keep either "
            f"class folders or {', '.join(_FOLDERS)} there"
        )
    splits = [_FOLDERS[name] for name in names]
    if len(set(splits)) < len(splits):
        raise UserError(f"data.root (={str(listing.root)!r}): {', '.join(names)}: two folders for val; keep one")
    return {f"{name}/": _FOLDERS[name] for name in sorted(names, key=lambda name: SPLITS.index(_FOLDERS[name]))}


def _class_folders(listing: Listing, folder: str) -> list[str]:
    names = []
    for entry in _entries(listing, folder):
        path = f"{folder}{entry.name}"
        if _is_folder(entry):
            names.append(entry.name)
        elif entry.is_symlink() and entry.is_dir():
            listing.refused.append((spelt(path), "linked folder: links to folders are not followed"))
        elif Path(entry.name).suffix.lower() in _SUFFIXES:
            listing.refused.append((spelt(path), "no class: stands in no class folder"))
    spellings = {_class_name(name): name for name in names}
    if len(spellings) < len(names):
        twice = next(name for name in names if spellings[_class_name(name)] != name)
        raise UserError(f"class {twice!r} has two folders, written with different accents; merge them")
    return names


def _class_name(folder: str) -> str:
    return unicodedata.normalize("NFC", spelt(folder))


def _files(listing: Listing, folder: str) -> Iterator[str]:
    """Every file below a class folder that may be opened, folders in folders included."""
    for entry in _entries(listing, folder):
        path = f"{folder}/{entry.name}"
        if _is_folder(entry):
            yield from _files(listing, path)
        elif reason := _why_not(listing.root, entry):
            listing.refused.append((spelt(path), reason))
        else:
            yield path


def _why_not(root: Path, entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_symlink():
            if not Path(os.path.realpath(entry.path)).is_relative_to(root):
                return "link leaves the folder: it points outside data.root"
            if entry.is_dir():
                return "linked folder: links to folders are not followed"
        return "" if stat.S_ISREG(entry.stat().st_mode) else "no file: a device, pipe or socket"
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _entries(listing: Listing, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(listing.root / folder) as entries:
            seen = [e for e in entries if not e.name.startswith(".") and e.name.lower() not in _PASSED_OVER]
    except OSError as error:
        listing.refused.append((spelt(folder.rstrip("/")) or ".", f"unreadable: {error.strerror}"))
        return []
    return sorted(seen, key=lambda entry: os.fsencode(entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)
