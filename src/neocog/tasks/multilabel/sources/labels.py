"""The labels of images, from `labels.csv`: which file shows what, and, if the CSV says so, in which split it is.

| path | labels | split (may be left out) |
|---|---|---|
| beach/001.jpg | sea;sand;people | train |
| empty.png | | test |

`path` is relative to data.root; labels are separated by `;`, an empty cell is no label. `split` is train, val or test.
"""

import csv
import hashlib
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from neocog.core.errors import UserError, nearest
from neocog.data.prepared import SPLITS

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
    name = str(path)
    labels: dict[str, tuple[str, ...]] = {}
    splits: dict[str, str] = {}
    lines: dict[str, int] = {}
    try:
        content = path.read_bytes()
        with io.StringIO(content.decode("utf-8-sig"), newline="") as file:
            rows = csv.reader(file, strict=True)
            header = [column.strip() for column in next(rows, [])]
            _check_header(name, header)
            for row in rows:
                if not row:
                    continue
                line = f"{name}, line {rows.line_num}"
                if len(row) != len(header):
                    raise UserError(f"{line}: {len(row)} cells, the header has {len(header)}")
                cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
                key = spelt(cells["path"])
                if key in labels:
                    raise UserError(f"{line}: {key!r} was there before; give each image one row")
                labels[key], lines[key] = _labels(line, cells["labels"]), rows.line_num
                if "split" in cells:
                    splits[key] = _split(line, cells["split"])
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}; put a CSV with the columns path and labels there") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{name}: not a CSV in UTF-8 ({error})") from None
    if not labels:
        raise UserError(f"{name}: no rows; give each image a row of its path and its labels")
    return Labels(labels, splits, lines, hashlib.sha256(content).hexdigest())


def spelt(path: str) -> str:
    """One spelling of a path: forward slashes, no ./, composed accents."""
    return unicodedata.normalize("NFC", str(PurePosixPath(path.strip().replace("\\", "/"))))


def _check_header(name: str, header: Sequence[str]) -> None:
    for column in COLUMNS[:2]:
        if column not in header:
            raise UserError(f"{name}: no column {column!r}; {nearest(column, header)}")
    for column in header:
        if column not in COLUMNS:
            raise UserError(f"{name}: unknown column {column!r}; {nearest(column, COLUMNS)}")
    if len(set(header)) < len(header):
        raise UserError(f"{name}: a column is there twice; the columns are {', '.join(header)}")


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
