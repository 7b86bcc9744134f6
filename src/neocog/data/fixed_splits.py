"""Splits that a file fixes: the CSV of `data.splits`, with the columns path and split (train, val, test).

Paths are those of `quarantine.csv` and of the column `source` of samples.parquet. An image without a row is for training; val and test,
where no row names them, are cut from train as ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neocog.core.errors import UserError
from neocog.data.sources.csv_rows import read_csv, same_path
from neocog.data.sources.table import split_cell


@dataclass(frozen=True)
class FixedSplits:
    """The split of each image by its path."""

    splits: dict[str, str]
    sha256: str  # of the file

    @property
    def carved(self) -> tuple[str, ...]:
        """What no row names, and is cut from train."""
        return tuple(split for split in ("val", "test") if split not in self.splits.values())

    def of(self, paths: Sequence[str]) -> list[str]:
        """The split of each image."""
        return [self.splits.get(same_path(path), "train") for path in paths]

    def notes(self, paths: Sequence[str], refused: Sequence[str]) -> list[str]:
        """What a user should know of rows and images that do not meet. Raises UserError if no row names an image."""
        known = {same_path(path) for path in paths}
        strangers = sorted(self.splits.keys() - known - {same_path(path) for path in refused})
        without = len(known - self.splits.keys())
        if paths and without == len(known):
            raise UserError(
                f"data.splits: no row names an image; its paths look like {next(iter(self.splits))!r}, the images' like {paths[0]!r}"
            )
        notes = [f"{len(strangers)} rows of data.splits name no image, the first: {strangers[0]}"] if strangers else []
        return [*notes, f"{without} images have no row in data.splits: they count as train"] if without else notes


def read_splits(path: Path) -> FixedSplits:
    """Read the CSV that `data.splits` names. Raises UserError naming file, line and what is wrong there."""
    table = read_csv(
        path, name=f"data.splits (={str(path)!r})", remedy="name a CSV, or null for none", columns=("path", "split")
    )
    splits: dict[str, str] = {}
    for line, cells in table.rows:
        where = f"{table.name}, line {line}"
        split = split_cell(where, cells["split"] or "''")
        assert split is not None
        if splits.setdefault(same_path(cells["path"]), split) != split:
            raise UserError(f"{where}: {cells['path']!r} was there before with another split")
    if not splits:
        raise UserError(f"{table.name}: no rows; fill it, or set data.splits: null")
    return FixedSplits(splits, table.sha256)
