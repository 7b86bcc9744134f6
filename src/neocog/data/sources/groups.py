"""Group columns: what else is known of each image (camera, site, ...), from a CSV, for metrics by slice later.

The CSV has a column `path`, relative to data.root as in `quarantine.csv` (packed sets: `train/123`), and any further
columns. Values are text; an image without a row, and an empty cell, have none.
"""

import csv
import hashlib
import io
import unicodedata
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from neocog.core.errors import UserError, nearest
from neocog.data.prepared import own_columns


@dataclass(frozen=True)
class Groups:
    """The values of the group columns by image path, all of it text."""

    columns: tuple[str, ...]
    values: dict[str, tuple[str | None, ...]]
    sha256: str  # of the file

    def of(self, paths: Sequence[str]) -> dict[str, list[str | None]]:
        """The column of each group, one value an image."""
        nothing = (None,) * len(self.columns)
        rows = [self.values.get(_same(path), nothing) for path in paths]
        return {column: [row[i] for row in rows] for i, column in enumerate(self.columns)}

    def unmatched(self, paths: Sequence[str], refused: Sequence[str]) -> tuple[list[str], int]:
        """Rows that name no image at all, and the number of images without a row. Raises UserError if no row fits."""
        known = {_same(path) for path in paths}
        images = known & self.values.keys()
        if not images:
            raise UserError(
                f"data.groups: no row names an image; its paths look like {next(iter(self.values))!r}, "
                f"the images' like {paths[0]!r} (relative to data.root)"
            )
        strangers = sorted(self.values.keys() - known - {_same(path) for path in refused})
        return strangers, len(known) - len(images)


def header(path: Path) -> list[str]:
    """The names of the columns of a CSV; none if it cannot be read, which `read_groups` says."""
    with suppress(OSError, UnicodeDecodeError, csv.Error), path.open(newline="", encoding="utf-8-sig") as file:
        return [column.strip() for column in next(csv.reader(file), [])]
    return []


def read_groups(path: Path, *, task: str = "classification") -> Groups:
    """Read the CSV that `data.groups` names, of a data set of the `task`. Raises UserError naming file, line and what is wrong there."""
    name = f"data.groups (={str(path)!r})"
    try:
        content = path.read_bytes()
        with io.StringIO(content.decode("utf-8-sig"), newline="") as file:
            rows = csv.reader(file, strict=True)
            header = [column.strip() for column in next(rows, [])]
            columns = _columns(name, header, own_columns(task))
            at = header.index("path")
            values: dict[str, tuple[str | None, ...]] = {}
            for row in rows:
                if not row:
                    continue
                if len(row) != len(header):
                    raise UserError(f"{name}, line {rows.line_num}: {len(row)} cells, the header has {len(header)}")
                key = _same(row[at])
                value = tuple(cell.strip() or None for i, cell in enumerate(row) if i != at)
                if values.setdefault(key, value) != value:
                    raise UserError(f"{name}, line {rows.line_num}: {row[at]!r} was there before with other values")
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}; name a CSV, or null for none") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{name}: not a CSV in UTF-8 ({error})") from None
    if not values:
        raise UserError(f"{name}: no rows; fill it, or set data.groups: null")
    return Groups(columns, values, hashlib.sha256(content).hexdigest())


def _columns(name: str, header: Sequence[str], own: Collection[str]) -> tuple[str, ...]:
    if "path" not in header:
        raise UserError(f"{name}: no column 'path'; {nearest('path', header)}")
    columns = tuple(column for column in header if column != "path")
    if not columns:
        raise UserError(f"{name}: no column besides 'path'; add what the images are to be grouped by")
    if len(set(header)) != len(header) or "" in header:
        raise UserError(f"{name}: its columns need different, non-empty names, they are {', '.join(map(repr, header))}")
    taken = [column for column in columns if column in own]
    if taken:
        raise UserError(f"{name}: the column names {', '.join(taken)} are neocog's own; rename them")
    return columns


def _same(path: str) -> str:
    """One spelling of a path: forward slashes, no ./, composed accents."""
    return unicodedata.normalize("NFC", str(PurePosixPath(path.strip().replace("\\", "/"))))
