"""CSVs that users write: every cell is text, as it stands there, and what is wrong is named by line."""

import csv
import hashlib
import io
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from neocog.core.errors import UserError, nearest


@dataclass(frozen=True)
class CsvRows:
    """The rows of a CSV with their lines; `name` is what messages call the file."""

    name: str
    header: tuple[str, ...]
    rows: Sequence[tuple[int, dict[str, str]]]
    sha256: str  # of the file


def read_csv(path: Path, *, name: str, remedy: str, columns: Sequence[str] = ("path",)) -> CsvRows:
    """Read a CSV in UTF-8 that has `columns` and maybe more, of different names; spaces around cells do not count.

    Raises UserError naming the file, the line and what is wrong there; `remedy` is what to do about a file that cannot be opened.
    """
    try:
        content = path.read_bytes()
        with io.StringIO(content.decode("utf-8-sig"), newline="") as file:
            reader = csv.reader(file, strict=True)
            header = tuple(column.strip() for column in next(reader, []))
            check_columns(name, header, columns)
            rows = list(_rows(name, header, reader))
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}; {remedy}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{name}: not a CSV in UTF-8 ({error})") from None
    return CsvRows(name, header, rows, hashlib.sha256(content).hexdigest())


def csv_header(path: Path) -> list[str]:
    """The names of the columns of a CSV; none if it cannot be read."""
    with suppress(OSError, UnicodeDecodeError, csv.Error), path.open(newline="", encoding="utf-8-sig") as file:
        return [column.strip() for column in next(csv.reader(file), [])]
    return []


def check_columns(name: str, header: Sequence[str], needed: Sequence[str]) -> None:
    """Raise UserError for a column of `needed` that is missing, for one without a name and for one that is there twice."""
    for column in needed:
        if column not in header:
            raise UserError(f"{name}: no column {column!r}; {nearest(column, header)}")
    if len(set(header)) != len(header) or "" in header:
        raise UserError(f"{name}: its columns need different, non-empty names, they are {', '.join(map(repr, header))}")


def same_path(path: str) -> str:
    """One spelling of a path: forward slashes, no ./, composed accents."""
    return unicodedata.normalize("NFC", str(PurePosixPath(path.strip().replace("\\", "/"))))


def _rows(name: str, header: Sequence[str], reader: Any) -> Iterator[tuple[int, dict[str, str]]]:
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise UserError(f"{name}, line {reader.line_num}: {len(row)} cells, the header has {len(header)}")
        yield reader.line_num, dict(zip(header, (cell.strip() for cell in row), strict=True))
