"""CSV tables safe to open in a spreadsheet: text that would be a formula there begins with an apostrophe (OWASP, CSV injection).

Numbers stay as they are. `read` takes the apostrophe away again, so that names written here still join.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from neocog.core.errors import UserError

T = TypeVar("T")

# After apostrophes too, or taking one away would not give back what was there. A word behind a sign, such as the class `-x`,
# computes nothing.
_FORMULA = re.compile(r"'*([=@\t\r\n＝＠]|[+\-＋－].*[^\w .\-])", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def guarded(text: str) -> str:
    """`=1+1` -> `'=1+1`; other text, and numbers written as text, as they are."""
    return f"'{text}" if _dangerous(text) else text


def plain(cell: str) -> str:
    """What `guarded` was given."""
    return cell[1:] if cell.startswith("'") and _dangerous(cell[1:]) else cell


def line(cells: Iterable[object]) -> str:
    """One line of a table, without its end."""
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([guarded(c) if isinstance(c, str) else c for c in cells])
    return text.getvalue()[:-2]


def write(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """A table of `rows` under `columns`. An older file is replaced, not changed: tracking may hold a link to it."""
    path.unlink(missing_ok=True)
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(f"{line(each)}\n" for each in (columns, *rows))


def write_dicts(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """The same of rows by name of column."""
    write(path, columns, ([row[name] for name in columns] for row in rows))


def read(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table that `write` wrote, by name of column. Raises KeyError, TypeError or ValueError, when used, for a damaged one."""
    with path.open(newline="", encoding="utf-8") as file:
        try:
            for row in csv.DictReader(file):
                yield {plain(name): plain(cell) for name, cell in row.items()}
        except (csv.Error, AttributeError) as error:  # a short line has None in a cell, a long one in the name
            raise ValueError(str(error)) from None


def write_rows(path: Path, rows: Iterable[Any], kind: type) -> None:
    """A table of `rows`, all of the dataclass `kind`, under the names of its fields."""
    write(path, [field.name for field in fields(kind)], map(astuple, rows))


def read_rows(path: Path, kind: type[T], *, stage: str) -> list[T]:
    """What `write_rows` wrote. Raises UserError, which names the `stage` that makes it again, for a damaged file."""
    types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    try:
        return [kind(**{name: types[name](value) for name, value in row.items()}) for row in read(path)]  # type: ignore[operator]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); `dvc repro --force {stage}` makes it again") from None


def _dangerous(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text)
