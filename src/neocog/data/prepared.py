"""Prepared data set: the one reader and the one writer of what training reads.

| file | content |
|---|---|
| `images.npy` | uint8 `[N, H, W, C]`: train, then val, then test; within a split by content hash |
| or `images.bin`, `offsets.npy` | the same images encoded, as their files are (`data.store: encoded`) |
| `samples.parquet` | row i describes image i: id, split, the task's target columns, sha256, source, group columns |
| `dataset.json` | what the whole is: task, classes, shape, mean and std of train, counts, notes, digests |
| `quarantine.csv` | path, reason: what was refused |

The same input gives the same bytes: no time, no absolute path, nothing of the machine.
"""

import hashlib
import json
import mmap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

import numpy as np

from neocog.core import csv_table, image_size, integrity, parquet_table
from neocog.core.atomic import staged
from neocog.core.errors import UserError, nearest
from neocog.core.image_size import Size
from neocog.data.decoding.encoded_files import EncodedFiles
from neocog.data.decoding.encoded_images import CONTENT, OFFSETS, EncodedImages
from neocog.data.pixel_statistics import PixelSums
from neocog.tasks import task as tasks

if TYPE_CHECKING:
    import pyarrow

    from neocog.data.decoding.decode import Preparation

SPLITS = ("train", "val", "test")
OWN_COLUMNS = ("id", "split", "sha256", "source")  # besides those of the task
PACKED = "images.npy"
_BLOCK = 1 << 22  # bytes of images handled at a time


@dataclass(frozen=True)
class Split:
    """One split: views of the whole, never copies."""

    images: np.ndarray  # uint8 [n, H, W, C]: a memmap, or EncodedImages, which an index decodes
    targets: np.ndarray  # [n, ...], as the task's `targets.py` has them
    ids: np.ndarray  # str [n]


@dataclass(frozen=True)
class Samples:
    """What is known of n images, in any order. `rows[i]` is the place of image i in the array they are read from."""

    rows: np.ndarray  # int64 [n]
    targets: np.ndarray  # [n, ...], as the task's `targets.py` has them
    splits: Sequence[str]
    sha256: Sequence[str]
    sources: Sequence[str]
    groups: Mapping[str, Sequence[str | None]] = field(default_factory=dict)


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
        """How images are kept: `packed` or `encoded`."""
        return "encoded" if CONTENT in self.files else "packed"

    def _images(self) -> np.ndarray | EncodedImages:
        if self.store == "packed":
            packed: np.ndarray = np.load(self.folder / PACKED, mmap_mode="r")
            return packed
        (self.folder / CONTENT).stat()  # raises if it is gone
        how = {"size": self.size, "channels": self.channels, **self.preparation}
        return EncodedImages(self.folder, cast("Preparation", how))

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
            images=card.get("images") or _totals(card["counts"]),
        )
    except FileNotFoundError:
        raise UserError(f"{folder}: no prepared data set is there (no dataset.json); run `dvc repro prepare`") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / 'dataset.json'}: not a data set's card ({error!r}); run `dvc repro prepare`"
        ) from None


def write(
    folder: Path | str,
    *,
    name: str,
    classes: Sequence[str],
    images: np.ndarray | EncodedFiles,
    samples: Samples,
    source_digest: str,
    quarantine: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    task: str = "classification",
    preparation: Mapping[str, str | int] | None = None,
) -> Prepared:
    """Write `images[samples.rows]` (of uint8 [N, H, W, C], which may be a memmap, or encoded), whole or not at all.

    `preparation` is how files became these pixels, for whoever asks a model about more files.
    """
    order = sorted(
        range(len(samples.rows)),
        key=lambda i: (SPLITS.index(samples.splits[i]), samples.sha256[i], samples.sources[i]),
    )
    kind = tasks.task(task).targets
    targets = samples.targets[order]
    splits = [samples.splits[i] for i in order]
    num_train = splits.count("train")
    with staged(Path(folder)) as stage:
        shape = (len(order), *images.shape[1:])
        content = hashlib.sha256()
        rows = samples.rows[order]
        if isinstance(images, EncodedFiles):
            sums = images.write(stage, rows, num_train=num_train, content=content)
        else:
            sums = _write_packed(stage / PACKED, images, rows, num_train=num_train, content=content)
        columns: dict[str, Sequence[object]] = {
            "id": _ids([samples.sha256[i] for i in order]),
            "split": splits,
            **kind.columns(targets),
            "sha256": [samples.sha256[i] for i in order],
            "source": [samples.sources[i] for i in order],
            **{group: [values[i] for i in order] for group, values in samples.groups.items()},
        }
        parquet_table.write(stage / "samples.parquet", columns, types=kind.COLUMNS, repetitive=["split"])
        csv_table.write(stage / "quarantine.csv", ("path", "reason"), sorted(quarantine))
        where = np.asarray(splits)
        shown = {split: kind.counts(targets[where == split], classes=len(classes)).tolist() for split in SPLITS}
        counts = {split: dict(zip(classes, numbers, strict=True)) for split, numbers in shown.items()}
        per_split = {split: splits.count(split) for split in SPLITS}
        card: dict[str, object] = {
            "name": name,
            "task": task,
            "classes": list(classes),
            "channels": shape[3],
            "size": image_size.short((shape[1], shape[2])),
            "mean": sums.mean(),
            "std": sums.std(),
            "counts": counts,
            **({"images": per_split} if per_split != _totals(counts) else {}),  # an image may show several classes
            "notes": list(notes),
            "source_digest": source_digest,
            **({"preparation": dict(preparation)} if preparation else {}),
        }
        for entry in ([task, list(classes), shape], *columns.items()):
            content.update(json.dumps(entry).encode())
        card["digest"] = content.hexdigest()
        stored = (CONTENT, OFFSETS) if isinstance(images, EncodedFiles) else (PACKED,)
        card["files"] = integrity.digests(stage, *stored, "samples.parquet")
        (stage / "dataset.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return read(folder)


def _write_packed(
    path: Path, images: np.ndarray, rows: np.ndarray, *, num_train: int, content: "hashlib._Hash"
) -> PixelSums:
    shape = (len(rows), *images.shape[1:])
    sums = PixelSums(shape[3])
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for block in _blocks(shape):
            pixels = np.ascontiguousarray(images[rows[block]])
            file.write(pixels.data)
            content.update(pixels.data)
            sums.add(pixels[: max(0, num_train - block.start)])
            if isinstance(images, np.memmap):  # let go of what was read, or the whole file counts as memory in use
                images._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
    return sums


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, _BLOCK // int(np.prod(shape[1:])))
    return (slice(start, min(shape[0], start + step)) for start in range(0, shape[0], step))


def _ids(hashes: Sequence[str]) -> list[str]:
    """The first 16 digits of each content hash; a repeated one gets -2, -3, ... so that every id is unique."""
    seen: dict[str, int] = {}
    ids = []
    for short in (sha256[:16] for sha256 in hashes):
        seen[short] = seen.get(short, 0) + 1
        ids.append(short if seen[short] == 1 else f"{short}-{seen[short]}")
    return ids


def own_columns(task: str) -> Collection[str]:
    """The columns of samples.parquet that are no groups."""
    return {*OWN_COLUMNS, *tasks.task(task).targets.COLUMNS}


def _totals(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """The number of images of each split, where each shows one class."""
    return {split: sum(of.values()) for split, of in counts.items()}
