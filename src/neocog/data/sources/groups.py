"""Group columns of images (camera, site, ...), read from a CSV file, for metrics by slice.

The CSV has a column `path`, relative to data.root as in `quarantine.csv` (packed sets: `train/123`), and any further
columns. Values are text; an image without a row, and an empty cell, have none.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neocog.core.errors import UserError
from neocog.data.prepared import own_columns
from neocog.data.sources.csv_rows import read_csv, same_path

MOST_GROUPS = 1000  # different values of a source's column: what has more, such as captions, is no group


@dataclass(frozen=True)
class Groups:
    """The values of the group columns by image path, all of it text."""

    columns: tuple[str, ...]
    values: dict[str, tuple[str | None, ...]]
    sha256: str  # of the file

    def of(self, paths: Sequence[str]) -> dict[str, list[str | None]]:
        """The column of each group, one value an image."""
        nothing = (None,) * len(self.columns)
        rows = [self.values.get(same_path(path), nothing) for path in paths]
        return {column: [row[i] for row in rows] for i, column in enumerate(self.columns)}

    def unmatched(self, paths: Sequence[str], refused: Sequence[str]) -> tuple[list[str], int]:
        """Rows that name no image at all, and the number of images without a row. Raises UserError if no row fits."""
        known = {same_path(path) for path in paths}
        images = known & self.values.keys()
        if not images:
            raise UserError(
                f"data.groups: no row names an image; its paths look like {next(iter(self.values))!r}, "
                f"the images' like {paths[0]!r} (relative to data.root)"
            )
        strangers = sorted(self.values.keys() - known - {same_path(path) for path in refused})
        return strangers, len(known) - len(images)


def read_groups(path: Path, *, task: str = "classification") -> Groups:
    """Read the CSV that `data.groups` names, of a data set of the `task`. Raises UserError naming file, line and what is wrong there."""
    table = read_csv(path, name=f"data.groups (={str(path)!r})", remedy="name a CSV, or null for none")
    columns = _columns(table.name, table.header, own_columns(task))
    values: dict[str, tuple[str | None, ...]] = {}
    for line, cells in table.rows:
        value = tuple(cells[column] or None for column in columns)
        if values.setdefault(same_path(cells["path"]), value) != value:
            raise UserError(f"{table.name}, line {line}: {cells['path']!r} was there before with other values")
    if not values:
        raise UserError(f"{table.name}: no rows; fill it, or set data.groups: null")
    return Groups(columns, values, table.sha256)


def _columns(name: str, header: Sequence[str], own: Collection[str]) -> tuple[str, ...]:
    columns = tuple(column for column in header if column != "path")
    if not columns:
        raise UserError(f"{name}: no column besides 'path'; add what the images are to be grouped by")
    taken = [column for column in columns if column in own]
    if taken:
        raise UserError(f"{name}: the column names {', '.join(taken)} are neocog's own; rename them")
    return columns


def columns_of(
    task: str, columns: Mapping[str, Sequence[str | None]], split_by: str | None
) -> tuple[dict[str, Sequence[str | None]], list[str]]:
    """The columns of a source that make groups, and a note on each that does not; the one that splits go by always does."""
    kept, notes = {}, []
    for name, values in columns.items():
        different = len({*values})
        if name in own_columns(task) or name == "path":
            notes.append(f"the column {name!r} is no group: it is a name of neocog's own; rename it to keep it")
        elif different > MOST_GROUPS and name != split_by:
            notes.append(f"the column {name!r} is no group: it has {different:,} different values")
        else:
            kept[name] = values
    return kept, notes
