"""The labels of images, from `labels.csv`: which file shows what, and, if the CSV says so, in which split it is.

| path | labels | split (may be left out) |
|---|---|---|
| beach/001.jpg | sea;sand;people | train |
| empty.png | | test |

`path` is relative to data.root; labels are separated by `;`, an empty cell is no label. `split` is train, val or test.
"""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from neocog.core.errors import UserError, nearest
from neocog.data.prepared import SPLITS
from neocog.data.sources.csv_rows import read_csv, same_path

COLUMNS = ("path", "labels", "split")
SEPARATOR = ";"


@dataclass(frozen=True)
class Labels:
    """The labels of each file by its path, in the order of the CSV; `splits` is empty where the CSV names none."""

    labels: dict[str, tuple[str, ...]]
    splits: dict[str, str]
    lines: dict[str, int]
    sha256: str  # of the CSV

    @property
    def classes(self) -> tuple[str, ...]:
        """Every label that some image has, sorted."""
        return tuple(sorted({label for labels in self.labels.values() for label in labels}))


def read_labels(path: Path) -> Labels:
    """Read the CSV. Raises UserError naming the file, the line and what is wrong there."""
    table = read_csv(
        path, name=str(path), remedy="put a CSV with the columns path and labels there", columns=COLUMNS[:2]
    )
    labels: dict[str, tuple[str, ...]] = {}
    splits: dict[str, str] = {}
    lines: dict[str, int] = {}
    for column in table.header:
        if column not in COLUMNS:
            raise UserError(f"{table.name}: unknown column {column!r}; {nearest(column, COLUMNS)}")
    for number, cells in table.rows:
        line, key = f"{table.name}, line {number}", same_path(cells["path"])
        if key in labels:
            raise UserError(f"{line}: {key!r} was there before; give each image one row")
        labels[key], lines[key] = _labels(line, cells["labels"]), number
        if "split" in cells:
            splits[key] = _split(line, cells["split"])
    if not labels:
        raise UserError(f"{table.name}: no rows; give each image a row of its path and its labels")
    return Labels(labels, splits, lines, table.sha256)


def _labels(line: str, cell: str) -> tuple[str, ...]:
    """The labels of a cell. Raises UserError for an empty one beside others, and for one that is there twice."""
    if not cell:
        return ()
    found = tuple(unicodedata.normalize("NFC", label.strip()) for label in cell.split(SEPARATOR))
    if "" in found:
        raise UserError(f"{line}: an empty label in {cell!r}; separate labels with one {SEPARATOR!r}")
    if len(set(found)) < len(found):
        raise UserError(f"{line}: a label is there twice in {cell!r}; name each once")
    return found


def _split(line: str, cell: str) -> str:
    if cell not in SPLITS:
        raise UserError(f"{line}: split (={cell!r}) is unknown; {nearest(cell, SPLITS)}")
    return cell
