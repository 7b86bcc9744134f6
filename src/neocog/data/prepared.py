"""Prepared data set: the one reader of what training reads; `prepared_writer.py` is its one writer.

| file | content |
|---|---|
| `images.npy` | uint8 `[N, H, W, C]`: train, then val, then test; within a split by content hash |
| or `images.bin`, `offsets.npy` | the same images encoded, as their files are (`data.store: encoded`) |
| or `ranges.npy`, `files.json` | where they lie in tars at an address (`data.store: referenced`) |
| `samples.parquet` | row i describes image i: id, split, the task's target columns, sha256, source, group columns |
| `dataset.json` | what the whole is: task, classes, shape, mean and std of train, counts, notes, digests |
| `quarantine.csv` | path, reason: what was refused |

The same input gives the same bytes: no time, no absolute path, nothing of the machine.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

import numpy as np

from neocog.core import csv_table, image_size, integrity
from neocog.core.errors import UserError, nearest
from neocog.core.image_size import Size
from neocog.data.decoding.encoded_images import CONTENT, EncodedImages, StoredContent
from neocog.data.decoding.referenced import RANGES, ReferencedContent
from neocog.tasks import task as tasks

if TYPE_CHECKING:
    import pyarrow

    from neocog.data.decoding.decode import Preparation

SPLITS = ("train", "val", "test")
OWN_COLUMNS = ("id", "split", "sha256", "source")  # besides those of the task
PACKED = "images.npy"


@dataclass(frozen=True)
class Split:
    """One split: views of the whole, never copies."""

    images: np.ndarray  # uint8 [n, H, W, C]: a memmap, or EncodedImages, which an index decodes
    targets: np.ndarray  # [n, ...], as the task's `targets.py` has them
    ids: np.ndarray  # str [n]


@dataclass(frozen=True)
class Prepared:
    """A prepared data set on disk. `mean` and `std` are per channel of the train split, pixels scaled to 0..1."""

    folder: Path
    name: str
    task: str
    classes: tuple[str, ...]
    channels: int
    size: Size
    mean: tuple[float, ...]
    std: tuple[float, ...]
    counts: dict[str, dict[str, int]]  # split -> class -> number of images
    notes: tuple[str, ...]
    source_digest: str
    digest: str
    preparation: Mapping[str, str | int] = field(default_factory=dict)  # how files became pixels: resize, max_pixels
    passed_over: Mapping[str, int] = field(
        default_factory=dict
    )  # leftovers by kind; not on disk, since they change nothing
    files: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of images.npy and samples.parquet
    images: Mapping[str, int] = field(default_factory=dict)  # split -> number of images

    def normalized(self, how: tuple[Sequence[float], Sequence[float]] | None) -> "Prepared":
        """The same images, with other `mean` and `std` for those who normalize them; None leaves what they are."""
        return self if how is None else replace(self, mean=tuple(how[0]), std=tuple(how[1]))

    def split(self, name: str, *, limit: int | None = None) -> Split:
        """The images, targets and ids of `train`, `val` or `test`, the first `limit` of them: a random choice, since they stand by hash.

        Raises UserError for another name.
        """
        if name not in self.counts:
            raise UserError(f"split (={name!r}) does not exist; {nearest(name, self.counts)}")
        start, stop = self._bounds(name)
        shape = (sum(map(self.num_images, SPLITS)), *self.size, self.channels)
        try:
            images = self._images()
            table = self.samples(name, columns=["id", *self._targets.COLUMNS])
        except (OSError, ValueError) as error:  # pyarrow's own errors are among them
            raise self._damaged(str(error)) from error
        if images.shape != shape or images.dtype != np.uint8 or table.num_rows != stop - start:
            raise self._damaged(f"its images are {images.dtype} {images.shape}, dataset.json says uint8 {shape}")
        if damaged := integrity.changed(self.folder, self.files):
            remedy = integrity.REPAIR.format(stage="prepare")
            raise UserError(f"{self.folder / damaged} is damaged: its SHA-256 is not the one in dataset.json; {remedy}")
        table = table.slice(0, limit)
        stop = start + table.num_rows
        return Split(
            cast(np.ndarray, images.part(start, stop)) if isinstance(images, EncodedImages) else images[start:stop],
            self._targets.of(table, classes=len(self.classes)),
            np.array(table.column("id").to_pylist()),
        )

    def samples(self, name: str, *, columns: Sequence[str] | None = None) -> "pyarrow.Table":
        """The rows of `samples.parquet` of one split as a `pyarrow.Table`, group columns included."""
        import pyarrow.parquet

        start, stop = self._bounds(name)
        table = pyarrow.parquet.ParquetFile(self.folder / "samples.parquet").read(columns=columns and list(columns))
        return table.slice(start, stop - start)

    def groups(self, name: str) -> dict[str, list[str | None]]:
        """The group columns of one split, by name: a value or None for each image."""
        table = self.samples(name)
        own = own_columns(self.task)
        return {column: table.column(column).to_pylist() for column in table.column_names if column not in own}

    def cells(self, name: str, column: str, *, limit: int | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
        """The groups of a split that a stratum (a class) and a value of `column` make: which one each image [n] is of, int64, and names.

        Only those that hold images count. Images without a value are a group of their class too. Raises UserError for another column.
        """
        columns = self.groups(name)
        if column not in columns:
            there = (
                f"there are: {', '.join(columns)}" if columns else "there is none; name a CSV of them in data.groups"
            )
            raise UserError(f"groups (={column!r}) is no group column of {self.folder}; {there}")
        targets = self._targets.of(self.samples(name, columns=[*self._targets.COLUMNS]), classes=len(self.classes))
        strata, called = self._targets.strata(targets, classes=self.classes)
        pairs = [(int(stratum), value or "") for stratum, value in zip(strata, columns[column], strict=True)][:limit]
        cells = {pair: number for number, pair in enumerate(sorted(set(pairs)))}
        names = tuple(f"{called[stratum]}, {column} {value or 'unknown'}" for stratum, value in cells)
        return np.array([cells[pair] for pair in pairs], np.int64), names

    def quarantined(self) -> list[tuple[str, str]]:
        """(path, reason) of every image that was refused."""
        return [(row["path"], row["reason"]) for row in csv_table.read(self.folder / "quarantine.csv")]

    def num_images(self, name: str) -> int:
        """The number of images of one split."""
        return self.images[name]

    @property
    def store(self) -> str:
        """How images are kept: `packed`, `encoded` or `referenced`."""
        return "encoded" if CONTENT in self.files else "referenced" if RANGES in self.files else "packed"

    def _images(self) -> np.ndarray | EncodedImages:
        if self.store == "packed":
            packed: np.ndarray = np.load(self.folder / PACKED, mmap_mode="r")
            return packed
        how = {"size": self.size, "channels": self.channels, **self.preparation}
        if self.store == "referenced":
            return EncodedImages(ReferencedContent(self.folder), cast("Preparation", how))
        (self.folder / CONTENT).stat()  # raises if it is gone
        return EncodedImages(StoredContent(self.folder), cast("Preparation", how))

    @property
    def _targets(self) -> ModuleType:
        return tasks.task(self.task).targets

    def _damaged(self, why: str) -> UserError:
        return UserError(f"{self.folder}: changed after it was written ({why}); run `dvc repro prepare --force`")

    def _bounds(self, name: str) -> tuple[int, int]:
        start = sum(self.num_images(before) for before in SPLITS[: SPLITS.index(name)])
        return start, start + self.num_images(name)


def read(folder: Path | str = "data/prepared") -> Prepared:
    """Open a prepared data set: reads `dataset.json` alone, images are mapped when a split is asked for."""
    folder = Path(folder)
    try:
        card = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        return Prepared(
            folder=folder,
            name=card["name"],
            task=card["task"],
            classes=tuple(card["classes"]),
            channels=card["channels"],
            size=image_size.pair(card["size"]),
            mean=tuple(card["mean"]),
            std=tuple(card["std"]),
            counts=card["counts"],
            notes=tuple(card["notes"]),
            source_digest=card["source_digest"],
            digest=card["digest"],
            preparation=card.get("preparation", {}),
            files=card.get("files", {}),
            images=card.get("images") or one_class_totals(card["counts"]),
        )
    except FileNotFoundError:
        raise UserError(f"{folder}: no prepared data set is there (no dataset.json); run `dvc repro prepare`") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / 'dataset.json'}: not a data set's card ({error!r}); run `dvc repro prepare`"
        ) from None


def own_columns(task: str) -> Collection[str]:
    """The columns of samples.parquet that are no groups."""
    return {*OWN_COLUMNS, *tasks.task(task).targets.COLUMNS}


def one_class_totals(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """The number of images of each split, where each shows one class."""
    return {split: sum(of.values()) for split, of in counts.items()}
