"""Your own images in any folders, with their labels in `labels.csv` beside them: read as a folder of classes is."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from neocog.core.errors import UserError
from neocog.data.prepared import SPLITS
from neocog.data.sources import listing as files
from neocog.data.sources.csv_rows import same_path
from neocog.data.sources.folder import Reading, read_listed
from neocog.data.sources.source import Source
from neocog.tasks.multilabel.sources.labels import Labels, read_labels

TABLE = "labels.csv"


def read(root: Path, **how: Unpack[Reading]) -> Source:
    """Read the images that `labels.csv` in `root` names.

    Raises UserError, before anything is decoded, for a row without a file, an image without a row, and where no image has a label.
    """
    listing = files.list_files(root)
    table = read_labels(root / TABLE)
    path_of = {same_path(files.spelt(path)): path for path in listing.paths}
    refused = {same_path(path) for path, _ in listing.refused}
    _check(root / TABLE, table, {*path_of} | refused)
    named = [key for key in path_of if key in table.labels]
    splits = {table.splits.get(key, "train") for key in named}
    listing.paths = [path_of[key] for key in named]
    listing.given = [table.splits.get(key, "train") for key in named]
    listing.carved = tuple(split for split in SPLITS[1:] if split not in splits)
    listing.classes = list(table.classes)
    targets = np.array([[name in table.labels[key] for name in table.classes] for key in named], bool)
    found = read_listed(root, listing, targets.reshape(len(named), len(table.classes)), **how)
    return replace(found, digest=hashlib.sha256(f"{found.digest}{table.sha256}".encode()).hexdigest())


def _check(path: Path, table: Labels, there: set[str]) -> None:
    for key, line in table.lines.items():
        if key not in there:
            raise UserError(f"{path}, line {line}: {key!r} is no file of data.root; mend the path or remove the row")
    if unnamed := [key for key in sorted(there - {*table.labels}) if Path(key).suffix.lower() in files.SUFFIXES]:
        more = f" and {len(unnamed) - 1} more images" if len(unnamed) > 1 else ""
        raise UserError(f"{path}: no row names {unnamed[0]}{more}; add a row, with an empty cell if it has no label")
    if not table.classes:
        raise UserError(f"{path}: no image has a label; separate the labels of an image with ';' in the column labels")
