"""Images that come with their labels in columns: one row an image, of a table, a Parquet file or an archive."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

import numpy as np

from neocog.core.columns import TextColumn, take, update_with_json
from neocog.core.errors import UserError
from neocog.data.decoding.encoded import Encoded, Picked
from neocog.data.prepared import SPLITS
from neocog.data.quality_checks import check_any
from neocog.data.sources.folder import Reading, read_listed
from neocog.data.sources.listing import SPLIT_NAMES, Listing, spelt
from neocog.data.sources.source import Source
from neocog.data.sources.spellings import check_spellings

CLASS_NAMES = "classes.txt"  # in data.root: where labels are numbers, the name of class n is line n, from 0
_LONGEST = 255  # characters of a label: as of the name of a folder


@dataclass
class Labelled:
    """Images by row: `paths` are names below `root`; a label of None is none; a split is train, val, test, or None for train."""

    root: Path
    paths: TextColumn = field(default_factory=TextColumn)
    labels: list[str | None] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    groups: dict[str, list[str | None]] = field(default_factory=dict)  # any other columns
    encoded: Sequence[Encoded] | None = None  # None: files below `root`, by their paths
    mean_bytes: int = 0  # of an encoded image that lies in memory
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    leftovers: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[str] | None = None  # None: the labels, sorted


def read_labelled(found: Labelled, **how: Unpack[Reading]) -> Source:
    """Decode what was found. Rows without a label are refused; val and test are cut from train where no row is in them.

    Raises UserError, before anything is decoded, for a class in two spellings and for fewer than two classes.
    """
    called = {label: _label(label) for label in {*found.labels}}
    labels = [called[label] for label in found.labels]
    classes = [*found.classes] if found.classes is not None else sorted({label for label in labels if label})
    number = {name: label for label, name in enumerate(classes)}
    known = np.fromiter((label in number for label in labels), bool, len(labels))
    kept = np.flatnonzero(known)
    listing = Listing(found.root, classes=classes, leftovers=dict(found.leftovers))
    listing.paths = take(found.paths, kept)
    listing.labels = [number[labels[i] or ""] for i in kept]
    listing.given = [found.splits[i] or "train" for i in kept]
    listing.carved = tuple(split for split in SPLITS[1:] if split not in found.splits)
    without = [(spelt(found.paths[i]), _why_none(found.labels[i])) for i in np.flatnonzero(~known)]
    listing.refused = sorted({*found.refused, *without})
    listing.notes = [*found.notes, *check_spellings({name: name for name in classes}, what="labels")]
    targets = np.array(listing.labels, np.int64)
    check_any(np.bincount(targets, minlength=len(classes)), classes, listing.refused)
    encoded = found.encoded if found.encoded is None else Picked(found.encoded, kept)
    source = read_listed(found.root, listing, targets, encoded=encoded, mean_bytes=found.mean_bytes, **how)
    groups = {name: take(values, kept[source.rows]) for name, values in found.groups.items()}
    digest = hashlib.sha256(source.digest.encode())
    for values in (classes, listing.labels, listing.given):
        update_with_json(digest, values)
    digest.update(json.dumps({name: list(take(found.groups[name], kept)) for name in groups}).encode())
    return replace(source, groups=groups, digest=digest.hexdigest())


def split_named(path: str) -> str | None:
    """The split that a path names in a word: `data/train-00000.parquet`, `val/000.tar`; the last one counts."""
    words = [SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", path.lower()) if word in SPLIT_NAMES]
    return words[-1] if words else None


def splits_named(paths: Sequence[str]) -> dict[str, str | None]:
    """The split of each file, of which all or none name one. Raises UserError."""
    splits = {path: split_named(path) for path in paths}
    without = [path for path, split in splits.items() if split is None]
    if without and len(without) < len(splits):
        named = next(path for path, split in splits.items() if split)
        raise UserError(
            f"data.root: {named!r} names its split and {without[0]!r} names none; "
            "give each file train, val or test in its name, or none of them"
        )
    if splits and not without and "train" not in splits.values():
        raise UserError(f"data.root: no file has train in its name, beside {paths[0]!r}; add one, or rename it")
    return splits


def class_names(root: Path, labels: Sequence[str | None]) -> list[str | None]:
    """Labels that are numbers by their names in `classes.txt`, where `root` holds one. Raises UserError for a number beyond its lines."""
    path = root / CLASS_NAMES
    if not path.is_file():
        return [*labels]
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a text in UTF-8 ({error}); write the name of a class on each line") from None
    for label in labels:
        if label is not None and not (re.fullmatch(r"\d{1,9}", label) and int(label) < len(names)):
            raise UserError(f"{path}: no name for the label {label!r}; its {len(names)} lines name the classes from 0")
    if twice := [name for i, name in enumerate(names) if not name or name in names[:i]]:
        raise UserError(f"{path}: {twice[0]!r} is there twice; give each class a name of its own")
    return [None if label is None else names[int(label)] for label in labels]


def _label(label: str | None) -> str | None:
    """A label as it is called, None for one that names no class."""
    return unicodedata.normalize("NFC", spelt(label.strip())) or None if label and len(label) <= _LONGEST else None


def _why_none(label: str | None) -> str:
    return f"no label: {len(label):,} characters are no name of a class" if label and label.strip() else "no label"
