"""What lies where in a folder of images, before any of it is read.

`<root>/<class>/**/<file>`, or `<root>/{train,val,test}/<class>/**/<file>` in any case (also `training`, `valid`,
`validation`, `testing`; what is not there is cut out of train). Any file name will do; kinds are told by content, not
by suffix. Hidden files, `Thumbs.db`, `desktop.ini` and `__MACOSX` are passed over. Links out of the folder are refused,
linked folders too: below a class to quarantine, in the place of a class or a split as an error.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from neocog.data.prepared import SPLITS
from neocog.errors import UserError

_FOLDERS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
_FOLDERS |= {"test": "test", "testing": "test"}
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
    """A path that can be written anywhere: bytes that are no text, and control characters, become \\x.."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", text)


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
            f"or {root}/train/<class>/<image>" + "".join(f" ({path}: {why})" for path, why in listing.refused[:1])
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
    """Folder prefix -> split. A folder with a split's name that itself holds folders makes the layout one of splits."""
    where = f"data.root (={str(listing.root)!r})"
    entries = [entry for entry in _entries(listing, "") if _leads_to_folder(entry)]
    names = [entry.name for entry in entries]
    split_of = {name: _FOLDERS[name.lower()] for name in names if name.lower() in _FOLDERS}
    deep = [name for name in split_of if any(map(_leads_to_folder, _entries(listing, name)))]
    if not deep:
        return {"": "train"}
    linked = [entry.name for entry in entries if entry.name in split_of and entry.is_symlink()]
    if linked:
        raise UserError(
            f"{where}: {_told(linked[:1])} is a link, and links to folders are not followed; put the folder itself there"
        )
    if "train" not in {split_of[name] for name in deep}:
        raise UserError(
            f"{where}: there are folders in {_told(deep)}, as in a split, but none in a folder train; "
            "add train/<class>/<image>, or rename what is a class"
        )
    strangers = [name for name in names if name not in split_of]
    if strangers:
        raise UserError(
            f"{where}: {_told(strangers)} lie beside train/; keep either class folders or {', '.join(_FOLDERS)} there"
        )
    for split in SPLITS:
        twice = [name for name in names if split_of[name] == split]
        if len(twice) > 1:
            raise UserError(f"{where}: {_told(twice)}: {len(twice)} folders for {split}; keep one")
    return {f"{name}/": split_of[name] for name in sorted(names, key=lambda name: SPLITS.index(split_of[name]))}


def _told(names: list[str]) -> str:
    return ", ".join(repr(spelt(name)) for name in names[:5])


def _class_folders(listing: Listing, folder: str) -> list[str]:
    names = []
    for entry in _entries(listing, folder):
        path = f"{folder}{entry.name}"
        if _is_folder(entry):
            names.append(entry.name)
        elif _leads_to_folder(entry):
            raise UserError(
                f"class folder {spelt(path)!r} is a link, and links to folders are not followed; put the folder itself "
                "there, or remove the link"
            )
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


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that turns in a circle
        return False
