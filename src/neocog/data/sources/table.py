"""Images in any folders, with a table of their labels: a CSV, or Parquet, with the columns path, label and any others.

| path | label | split (may be left out) | patient, camera, ... (groups, may be left out) |
|---|---|---|---|
| scans/001.png | 0 | train | p7 |

`path` is relative to data.root. Every cell is text: `01`, `true`, `nan` and `None` are labels as they stand. A row whose image is not
there is refused; images without a row are passed over, with a note.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Unpack

from neocog.core.errors import UserError, nearest
from neocog.data.sources import listing as files
from neocog.data.sources.csv_rows import check_columns, read_csv, same_path
from neocog.data.sources.folder import Reading
from neocog.data.sources.labelled import Labelled, read_labelled
from neocog.data.sources.listing import SPLIT_NAMES, Listing
from neocog.data.sources.source import Source

if TYPE_CHECKING:
    import pyarrow

TABLES = ("labels.csv", "labels.parquet")  # in data.root, where data.table names none
PATH, LABEL, SPLIT = "path", "label", "split"


def table(root: Path, *, table: Path | None = None, label: str = LABEL, **how: Unpack[Reading]) -> Source:
    """Read the images that the table `table` names, whose labels are in its column `label`. Raises UserError."""
    listing = files.list_files(root)
    where = table or next((root / name for name in TABLES if (root / name).is_file()), root / TABLES[0])
    name = str(where)
    columns, lines = read_table(where, label)
    path_of = {same_path(files.spelt(path)): path for path in listing.paths}
    refused = dict(listing.refused)
    found = Labelled(listing.root, leftovers=listing.leftovers, refused=[])
    others = [column for column in columns if column not in (PATH, label, SPLIT)]
    found.groups = {column: [] for column in others}
    seen: dict[str, int] = {}
    for i, line in enumerate(lines):
        key = same_path(columns[PATH][i] or "")
        split = split_cell(f"{name}, line {line}", columns[SPLIT][i]) if SPLIT in columns else None
        if key in seen and key != ".":
            raise UserError(
                f"{name}, line {line}: {key!r} was there before, in line {seen[key]}; give each image one row"
            )
        seen[key] = line
        if key not in path_of:
            found.refused.append((files.spelt(key), refused.get(key) or _why_missing(key, line)))
            continue
        found.paths.append(path_of[key])
        found.labels.append(columns[label][i])
        found.splits.append(split)
        for column in others:
            found.groups[column].append(columns[column][i])
    found.refused += [(path, why) for path, why in listing.refused if path not in seen]
    found.notes = unnamed(name, listing, seen)
    return read_labelled(found, **how)


def read_table(path: Path, label: str) -> tuple[dict[str, Sequence[str | None]], Sequence[int]]:
    """The columns of a table as text, and the line of each row. Raises UserError."""
    name = str(path)
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet

        try:
            read = pyarrow.parquet.read_table(path)
        except FileNotFoundError:
            raise UserError(f"{name}: No such file or directory; name a table in data.table") from None
        except (OSError, pyarrow.ArrowException) as error:
            raise UserError(f"{name}: not a Parquet file ({error})") from None
        check_columns(name, read.column_names, (PATH, label))
        columns: dict[str, Sequence[str | None]] = {
            column: texts(f"{name}: column {column!r}", read.column(column)) for column in read.column_names
        }
        lines: Sequence[int] = range(1, read.num_rows + 1)
    else:
        remedy = f"put a CSV with the columns path and label there ({' or '.join(TABLES)}), or name one in data.table"
        rows = read_csv(path, name=name, remedy=remedy, columns=(PATH, label))
        columns = {column: [cells[column] or None for _, cells in rows.rows] for column in rows.header}
        lines = [line for line, _ in rows.rows]
    if not lines:
        raise UserError(f"{name}: no rows; give each image a row of its path and its label")
    return columns, lines


def texts(name: str, column: "pyarrow.ChunkedArray") -> list[str | None]:
    """A column of Arrow as text: true and false in lower case, numbers as they are; null, NaN and '' are None.

    Raises UserError for a column of lists, bytes or other things that are no text.
    """
    import pyarrow.types

    kind = column.type.value_type if pyarrow.types.is_dictionary(column.type) else column.type
    of = pyarrow.types
    if not (of.is_string(kind) or of.is_large_string(kind) or of.is_string_view(kind) or of.is_null(kind)
            or of.is_boolean(kind) or of.is_integer(kind) or of.is_floating(kind)):  # fmt: skip
        raise UserError(f"{name} holds {kind}, which is no label and no name; one text or number a row is needed")
    known: dict[object, str | None] = {}  # each text once, in however many rows it stands
    return [
        known[value] if value in known else known.setdefault(value, _text(value))
        for chunk in column.chunks
        for value in chunk.to_pylist()
    ]


def unnamed(name: str, listing: Listing, seen: Mapping[str, object]) -> list[str]:
    """The note on images that no row of a table names."""
    images = [path for path in listing.paths if PurePosixPath(path).suffix.lower() in files.SUFFIXES]
    found = sorted(path for path in map(files.spelt, images) if same_path(path) not in seen)
    return (
        [f"{len(found)} images have no row in {Path(name).name} and are passed over, the first: {found[0]}"]
        if found
        else []
    )


def _text(value: object) -> str | None:
    if value is None or value != value or value == "":  # noqa: PLR0124 - NaN alone differs from itself
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def split_cell(where: str, cell: str | None) -> str | None:
    """The split that a cell names; None for an empty one. Raises UserError."""
    if cell is None:
        return None
    if cell.lower() not in SPLIT_NAMES:
        raise UserError(f"{where}: split (={cell!r}) is unknown; {nearest(cell, SPLIT_NAMES)}")
    return SPLIT_NAMES[cell.lower()]


def _why_missing(path: str, line: int) -> str:
    if not path or path == ".":
        return f"no path: line {line} names no file"
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return f"path leaves the folder: line {line} must name a file relative to data.root"
    return f"missing file: line {line} names no file of data.root"
