"""Write a prepared data set, whole or not at all; `prepared.py` says which files it consists of, and reads them."""

import hashlib
import json
import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neocog.core import csv_table, image_size, integrity, parquet_table
from neocog.core.atomic import staged
from neocog.core.columns import Ordered, update_with_json
from neocog.data.decoding.encoded_files import EncodedFiles
from neocog.data.decoding.referenced import ReferencedImages
from neocog.data.pixel_statistics import PixelSums
from neocog.data.prepared import PACKED, SPLITS, Prepared, one_class_totals, read
from neocog.tasks import task as tasks

_BLOCK = 1 << 22  # bytes of images handled at a time


@dataclass(frozen=True)
class Samples:
    """What is known of n images, in any order. `rows[i]` is the place of image i in the array they are read from."""

    rows: np.ndarray  # int64 [n]
    targets: np.ndarray  # [n, ...], as the task's `targets.py` has them
    splits: Sequence[str]
    sha256: Sequence[str]
    sources: Sequence[str]
    groups: Mapping[str, Sequence[str | None]] = field(default_factory=dict)


def write(
    folder: Path | str,
    *,
    name: str,
    classes: Sequence[str],
    images: np.ndarray | EncodedFiles | ReferencedImages,
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
    where = np.fromiter(map(SPLITS.index, samples.splits), np.int8, len(samples.rows))
    shorts = np.fromiter((sha256[:16] for sha256 in samples.sha256), "S16", len(where))
    order = _order(where, shorts, samples)
    kind = tasks.task(task).targets
    targets, where, shorts = samples.targets[order], where[order], shorts[order]
    per_split = {split: int((where == i).sum()) for i, split in enumerate(SPLITS)}
    with staged(Path(folder)) as stage:
        shape = (len(order), *images.shape[1:])
        content = hashlib.sha256()
        rows = samples.rows[order]
        if isinstance(images, EncodedFiles | ReferencedImages):
            sums = images.write(stage, rows, num_train=per_split["train"], content=content)
        else:
            sums = _write_packed(stage / PACKED, images, rows, num_train=per_split["train"], content=content)
        columns: dict[str, Sequence[object]] = {
            "id": _Ids(shorts),
            "split": Ordered(samples.splits, order),
            **kind.columns(targets),
            "sha256": Ordered(samples.sha256, order),
            "source": Ordered(samples.sources, order),
            **{group: Ordered(values, order) for group, values in samples.groups.items()},
        }
        parquet_table.write(stage / "samples.parquet", columns, types=kind.COLUMNS, repetitive=["split"])
        csv_table.write(stage / "quarantine.csv", ("path", "reason"), sorted(quarantine))
        shown = {
            split: kind.counts(targets[where == i], classes=len(classes)).tolist() for i, split in enumerate(SPLITS)
        }
        counts = {split: dict(zip(classes, numbers, strict=True)) for split, numbers in shown.items()}
        card: dict[str, object] = {
            "name": name,
            "task": task,
            "classes": list(classes),
            "channels": shape[3],
            "size": image_size.short((shape[1], shape[2])),
            "mean": sums.mean(),
            "std": sums.std(),
            "counts": counts,
            **(
                {"images": per_split} if per_split != one_class_totals(counts) else {}
            ),  # an image may show several classes
            "notes": list(notes),
            "source_digest": source_digest,
            **({"preparation": dict(preparation)} if preparation else {}),
        }
        content.update(json.dumps([task, list(classes), shape]).encode())
        for column, values in columns.items():
            content.update(f"[{json.dumps(column)}, ".encode())
            update_with_json(content, values)
            content.update(b"]")
        card["digest"] = content.hexdigest()
        stored = images.FILES if isinstance(images, EncodedFiles | ReferencedImages) else (PACKED,)
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


def _order(where: np.ndarray, shorts: np.ndarray, samples: Samples) -> np.ndarray:
    """The rows by split (`where`), content hash (of which `shorts` are the first digits) and source, int64 [n]."""
    order = np.lexsort((shorts, where))
    again = (where[order[1:]] == where[order[:-1]]) & (shorts[order[1:]] == shorts[order[:-1]])
    runs = np.flatnonzero(np.diff(np.concatenate([[False], again, [False]]).astype(np.int8)))
    for first, last in runs.reshape(-1, 2):  # of which more than the first digits are to be compared
        rows = order[first : last + 1].tolist()
        order[first : last + 1] = sorted(rows, key=lambda i: (samples.sha256[i], samples.sources[i]))
    return order


class _Ids(Sequence[str]):
    """The first 16 digits of each content hash; a repeated one gets -2, -3, ... so that every id is unique."""

    def __init__(self, shorts: np.ndarray) -> None:
        self.shorts, self.number = shorts, dict[int, int]()
        ordered = np.sort(shorts)
        seen = dict.fromkeys(ordered[1:][ordered[1:] == ordered[:-1]].tolist(), 0)  # those that are there again
        for i in np.flatnonzero(np.isin(shorts, list(seen))).tolist() if seen else ():
            seen[shorts[i]] += 1
            self.number[i] = seen[shorts[i]]

    def __len__(self) -> int:
        return len(self.shorts)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [self[i] for i in range(*key.indices(len(self)))]
        return self.shorts[key].decode() + (f"-{self.number[key]}" if self.number.get(key, 1) > 1 else "")
