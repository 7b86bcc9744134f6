"""Images that stay where they are, in tars at an address: byte ranges of these, read when an image is decoded.

| file | content |
|---|---|
| `ranges.npy` | int64 [N, 3]: of each image the number of its file, where it begins there, and its bytes |
| `files.json` | the files: address, size and version (of S3 the ETag), as `prepare` found them |

The first of them, as many as `NEOCOG_CACHE_GB` gigabytes hold (10 where it is not set), are kept in `.neocog/images` once they were
read; all others are fetched again in each epoch. Always the same are kept: an epoch asks for every image once, so none is worth more.
"""

import json
import mmap
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from neocog.core.errors import UserError
from neocog.data.decoding import remote
from neocog.data.decoding.encoded import ByteRange, Encoded
from neocog.data.decoding.remote import RemoteFile
from neocog.data.pixel_statistics import PixelSums

RANGES, FILES = "ranges.npy", "files.json"
CACHE, CACHE_GB = Path(".neocog/images"), "NEOCOG_CACHE_GB"
_DEFAULT_GB = 10.0
_THREADS = 16  # that wait for bytes, beside those of the cores that decode


class ReferencedImages:
    """M images of `encoded`; of each that was read `file` holds the sums of its pixels, int64 [2, summed], and its SHA-256."""

    FILES = (RANGES, FILES)

    def __init__(self, file: IO[bytes], encoded: Sequence[Encoded], shape: Sequence[int], *, summed: int) -> None:
        self.file = os.fdopen(os.dup(file.fileno()), "rb")  # lives on when the other is closed
        self.encoded, self.shape, self.summed = encoded, tuple(shape), summed

    def write(self, folder: Path, rows: np.ndarray, *, num_train: int, content: Any) -> PixelSums:
        """Write where the images of `rows` [N] lie and update the hash `content`; return the sums of the first `num_train` of them."""
        numbers: dict[str, int] = {}
        ranges = np.empty((len(rows), 3), np.int64)
        sums, length = PixelSums(self.shape[3]), 16 * self.summed
        for i, row in enumerate(rows):
            found = self.encoded[row]
            assert isinstance(found, ByteRange)
            number = numbers.setdefault(str(found.path), len(numbers))
            ranges[i] = number, found.offset, found.length
            own = os.pread(self.file.fileno(), length + 32, int(row) * (length + 32))
            content.update(own[length:])
            if i < num_train:
                each = np.frombuffer(own[:length], np.int64).reshape(2, self.summed)
                sums.add_sums(each[:, : self.shape[3]], pixels=self.shape[1] * self.shape[2])
        place = np.argsort(np.argsort(list(numbers)))  # files by their address
        ranges[:, 0] = place[ranges[:, 0]]
        np.save(folder / RANGES, ranges)
        files = [asdict(remote.stat(address)) for address in sorted(numbers)]
        (folder / FILES).write_text(json.dumps(files, indent=2) + "\n", encoding="utf-8")
        return sums


class ReferencedContent:
    """The encoded bytes of images that lie elsewhere, from row `first` on."""

    threads = _THREADS

    def __init__(self, folder: Path, *, first: int = 0, count: int | None = None) -> None:
        self.folder, self.first = folder, first
        self.ranges = np.load(folder / RANGES, mmap_mode="r")
        self.count = len(self.ranges) - first if count is None else count
        self._cache: _Cache | None = None
        self._files: list[RemoteFile] | None = None
        self._checked: set[int] = set()

    def __len__(self) -> int:
        return self.count

    def part(self, start: int, stop: int) -> "ReferencedContent":
        """The images from `start` to before `stop`."""
        return ReferencedContent(self.folder, first=self.first + start, count=max(start, stop) - start)

    def read(self, row: int) -> bytes:
        """The bytes of an image. Raises UserError for a file that was replaced, and NeocogError where it cannot be reached."""
        row += self.first
        self.open()
        assert self._cache is not None
        kept = self._cache.get(row)
        if kept is not None:
            return kept
        number, offset, length = map(int, self.ranges[row])
        file = self._checked_file(number)
        content = remote.read(file.address, offset, offset + length)
        self._cache.put(row, content)
        return content

    def open(self) -> None:
        """Open what reading needs, before threads do."""
        if self._cache is None:
            self._files = [RemoteFile(**each) for each in json.loads((self.folder / FILES).read_text(encoding="utf-8"))]
            self._cache = _Cache(self.folder, self.ranges[:, 2])

    def name(self, row: int) -> str:
        """What messages call an image."""
        self.open()
        assert self._files is not None
        return f"{self._files[int(self.ranges[self.first + row, 0])].address}: image {row}"

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "first": self.first, "count": self.count}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"], first=state["first"], count=state["count"])  # type: ignore[misc]

    def _checked_file(self, number: int) -> RemoteFile:
        assert self._files is not None
        file = self._files[number]
        if number not in self._checked:
            now = remote.stat(file.address)
            if now != file:
                raise UserError(
                    f"{file.address}: was replaced after `prepare` read it; run `dvc repro prepare --force`"
                )
            self._checked.add(number)
        return file


class _Cache:
    """The bytes of the first images in a file of bounded size, and of each whether it is there; several processes may share it."""

    def __init__(self, folder: Path, lengths: np.ndarray) -> None:
        self._file: int | None = None
        limit = _gigabytes() * 1e9
        ends = np.cumsum(lengths, dtype=np.int64)
        self.count = int(np.searchsorted(ends, limit, side="right"))
        self.starts = np.concatenate([[0], ends[: self.count]])
        if self.count:
            place = CACHE / json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["digest"][:16]
            place.mkdir(parents=True, exist_ok=True)
            self._file = os.open(place / "images", os.O_RDWR | os.O_CREAT, 0o644)
            known = os.open(place / "known", os.O_RDWR | os.O_CREAT, 0o644)
            if os.fstat(known).st_size < len(lengths):
                os.ftruncate(known, len(lengths))
            self._known = mmap.mmap(known, len(lengths))
            os.close(known)

    def get(self, row: int) -> bytes | None:
        if self._file is None or row >= self.count or not self._known[row]:
            return None
        start, stop = int(self.starts[row]), int(self.starts[row + 1])
        return os.pread(self._file, stop - start, start)

    def put(self, row: int, content: bytes) -> None:
        if self._file is None or row >= self.count:
            return
        try:
            whole = os.pwrite(self._file, content, int(self.starts[row])) == len(content)
        except OSError:  # the disk is full: it is fetched again
            return
        self._known[row] = whole  # after its bytes, so that a kill leaves none that are not there

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _gigabytes() -> float:
    said = os.environ.get(CACHE_GB, "")
    try:
        found = float(said) if said else _DEFAULT_GB
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise UserError(f"{CACHE_GB} (={said!r}) is no number of gigabytes; write 0 for no cache, or such as 50")
    return found
