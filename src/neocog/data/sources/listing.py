"""List a folder of images before any of it is read.

`<root>/<class>/**/<file>`, or `<root>/{train,val,test}/<class>/**/<file>` in any case (also `training`, `valid`,
`validation`, `testing`; what is not there is cut out of train). Any file name will do; kinds are told by content, not
by suffix. What systems leave (leftovers.py) is passed over, and a folder without a file is no class. Links out of the
folder are refused (links.py), linked folders too: below a class to quarantine, in the place of a class or a split as
an error.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from neocog.core.columns import TextColumn
from neocog.core.errors import UserError
from neocog.data.prepared import SPLITS
from neocog.data.sources.layout import check_layout, hint_above
from neocog.data.sources.leftovers import kind
from neocog.data.sources.links import why_not
from neocog.data.sources.spellings import check_spellings

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
SPLIT_NAMES |= {"test": "test", "testing": "test"}
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic"}


@dataclass
class Listing:
    """The files of an image folder, sorted by path; `paths` are relative to `root` and in the system's spelling."""

    root: Path
    classes: list[str] = field(default_factory=list)
    paths: Sequence[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    given: Sequence[str] = field(default_factory=list)
    carved: tuple[str, ...] = ()
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    leftovers: dict[str, str] = field(default_factory=dict)  # what is passed over: path -> kind


def spelt(path: str) -> str:
    """A path that can be written anywhere: bytes that are no text, and control characters, become \\x.."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def list_images(root: Path) -> Listing:
    """List the files below `root` by split and class. Raises UserError when they do not lie in class folders."""
    listing, inside = _listed(root)
    check_layout(root, inside, _classes)
    return listing


def list_files(root: Path) -> Listing:
    """List the files below `root`, in whatever folders, without classes and splits. Raises UserError for no folder."""
    listing = _opened(root)
    listing.paths = TextColumn(map(os.fsdecode, sorted(map(os.fsencode, _files(listing, "")))))
    listing.refused = sorted(set(listing.refused))
    return listing


def _classes(root: Path) -> dict[str, int]:
    """The classes below `root` and their number of files, if it could be data.root."""
    _, inside = _listed(root)
    check_layout(root, inside)
    return {name: folders.total() for name, folders in inside.items()}


def _listed(root: Path) -> tuple[Listing, dict[str, Counter[str]]]:
    """The listing, and of each class how many files lie in which folder below its own (`""`)."""
    listing = _opened(root)
    splits = _split_folders(listing)
    listing.carved = tuple(split for split in ("val", "test") if split not in splits.values())
    files: list[bytes] = []
    places: dict[str, tuple[str, str]] = {}  # the folder of a class, as the system spells it -> split, class
    inside: dict[str, Counter[str]] = {}
    folders: dict[str, str] = {}  # class folder -> class
    empty: list[str] = []
    for folder, split in splits.items():
        for name in _class_folders(listing, folder):
            own, refused = f"{folder}{name}", len(listing.refused)
            found = [os.fsencode(path) for path in _files(listing, own)]
            if not found and len(listing.refused) == refused:
                empty.append(spelt(own))
                continue
            folders[spelt(own)] = _class_name(name)
            files += found
            places[own] = split, _class_name(name)
            below = chain((spelt(os.fsdecode(path)) for path in found), (path for path, _ in listing.refused[refused:]))
            start = len(spelt(own)) + 1
            inside.setdefault(_class_name(name), Counter()).update(path[start:].rpartition("/")[0] for path in below)
    listing.notes = check_spellings(folders)
    if empty:
        some = ", ".join(empty[:5]) + (" ..." if len(empty) > 5 else "")
        listing.notes.append(f"{len(empty)} class folders hold no file and are passed over: {some}")
    if not inside:
        raise UserError(
            f"data.root (={str(root)!r}) holds no class folders{' with files' if empty else ''}; images are expected as "
            f"{root}/<class>/<image>, or {root}/train/<class>/<image>"
            + "".join(f" ({path}: {why})" for path, why in listing.refused[:1])
            + (hint_above(root, _classes) if listing.refused else "")
        )
    listing.classes = sorted(inside)
    number = {name: label for label, name in enumerate(listing.classes)}
    listing.paths, listing.given = paths, given = TextColumn(), []
    files.sort()
    deep = "" not in splits
    for path in map(os.fsdecode, files):
        split, name = places["/".join(path.split("/", 2)[: 1 + deep])]
        paths.append(path)
        given.append(split)
        listing.labels.append(number[name])
    listing.refused = sorted(set(listing.refused))
    return listing, inside


def _opened(root: Path) -> Listing:
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise UserError(f"data.root (={str(root)!r}) {what}; name the folder that holds your images")
    return Listing(root.resolve())


def _split_folders(listing: Listing) -> dict[str, str]:
    """Folder prefix -> split. A folder with a split's name that itself holds folders makes the layout one of splits."""
    where = f"data.root (={str(listing.root)!r})"
    entries = [entry for entry in _entries(listing, "") if _leads_to_folder(entry)]
    names = [entry.name for entry in entries]
    split_of = {name: SPLIT_NAMES[name.lower()] for name in names if name.lower() in SPLIT_NAMES}
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
            f"{where}: {_told(strangers)} lie beside train/; keep either class folders or {', '.join(SPLIT_NAMES)} there"
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
        elif Path(entry.name).suffix.lower() in SUFFIXES:
            listing.refused.append((spelt(path), "no class: stands in no class folder"))
    return names


def _class_name(folder: str) -> str:
    return unicodedata.normalize("NFC", spelt(folder))


def _files(listing: Listing, folder: str) -> Iterator[str]:
    """Every file below a folder that may be opened, folders in folders included."""
    for entry in _entries(listing, folder):
        path = f"{folder}/{entry.name}".lstrip("/")
        if _is_folder(entry):
            yield from _files(listing, path)
        elif reason := why_not(listing.root, entry):
            listing.refused.append((spelt(path), reason))
        else:
            yield path


def _entries(listing: Listing, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(listing.root / folder) as entries:
            seen = list(entries)
    except OSError as error:
        listing.refused.append((spelt(folder.rstrip("/")) or ".", f"unreadable: {error.strerror}"))
        return []
    listing.leftovers |= {f"{folder}/{entry.name}": what for entry in seen if (what := kind(entry.name))}
    return sorted((entry for entry in seen if not kind(entry.name)), key=lambda entry: os.fsencode(entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that turns in a circle
        return False
