"""Images that stay encoded: the bytes of their files one after another, decoded when they are asked for.

`images.bin` holds the bytes, `offsets.npy` int64 [N + 1] where each image begins. An image is decoded to the pixels that a packed data
set would hold of it, by threads (Pillow decodes and resizes outside Python's lock), in an order that does not depend on their number.
Bytes are read by position, not mapped: memory holds what is being decoded, however large the file.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neocog.core.errors import UserError
from neocog.core.machine import cores

if TYPE_CHECKING:
    from neocog.data.decoding.decode import Preparation
    from neocog.data.decoding.referenced import ReferencedContent

CONTENT, OFFSETS = "images.bin", "offsets.npy"
_AHEAD = 2  # batches that are being decoded while one is used


class StoredContent:
    """The encoded bytes of images, in `images.bin`."""

    threads = 0  # besides those that decode

    def __init__(self, folder: Path, *, offsets: np.ndarray | None = None) -> None:
        self.folder = folder
        self.offsets = np.load(folder / OFFSETS) if offsets is None else offsets
        self._file: int | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def part(self, start: int, stop: int) -> "StoredContent":
        """The images from `start` to before `stop`."""
        return StoredContent(self.folder, offsets=self.offsets[start : max(start, stop) + 1])

    def read(self, row: int) -> bytes:
        """The bytes of an image."""
        start, stop = int(self.offsets[row]), int(self.offsets[row + 1])
        return os.pread(self.open(), stop - start, start)

    def open(self) -> int:
        """Open the file, before threads do."""
        if self._file is None:
            self._file = os.open(self.folder / CONTENT, os.O_RDONLY)
        return self._file

    def name(self, row: int) -> str:
        """What messages call an image."""
        return f"{self.folder / CONTENT}: image {row}"

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            os.close(self._file)  # type: ignore[arg-type]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}  # another process opens it again


class EncodedImages:
    """uint8 [N, H, W, C] as an array that is read, never written: an index gives pixels, `part` another of its kind."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, content: "StoredContent | ReferencedContent", how: "Preparation") -> None:
        self.content, self.how = content, how

    def __len__(self) -> int:
        return len(self.content)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self), *self.how["size"], self.how["channels"])

    @property
    def nbytes(self) -> int:
        """Bytes of its pixels, decoded."""
        return int(np.prod(self.shape))

    def part(self, start: int, stop: int) -> "EncodedImages":
        """The images from `start` to before `stop`, none of them decoded."""
        return EncodedImages(self.content.part(start, stop), self.how)

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        rows = np.arange(len(self))[first]
        pixels = self._decoded(int(rows)) if rows.ndim == 0 else self.take(rows)
        return pixels[tuple([slice(None)] * int(rows.ndim > 0) + rest)] if rest else pixels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.uint8, copy=False)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def copy(self) -> np.ndarray:
        """All of them, decoded."""
        return self[:]

    def take(self, rows: Any, axis: int = 0) -> np.ndarray:
        """The images [n, H, W, C] of `rows` [n]."""
        assert axis == 0
        return next(self.ahead([np.asarray(rows)]))

    def ahead(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The images of each batch of rows in turn, those of the next ones being decoded meanwhile."""
        todo = iter(batches)
        self.content.open()
        flying: deque[list[Future[np.ndarray]]] = deque()
        with ThreadPoolExecutor(cores() + self.content.threads) as pool:
            try:
                while True:
                    while len(flying) <= _AHEAD and (rows := next(todo, None)) is not None:
                        flying.append([pool.submit(self._decoded, int(row)) for row in rows])
                    if not flying:
                        return
                    found = [each.result() for each in flying.popleft()]
                    yield np.stack(found) if found else np.zeros((0, *self.shape[1:]), np.uint8)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _decoded(self, row: int) -> np.ndarray:
        from neocog.data.decoding.decode import (  # Pillow, where there is something to decode
            RefusedError,
            as_row,
            read_picture,
        )

        content = self.content.read(row)
        try:
            return as_row(read_picture(BytesIO(content), self.how), self.how)
        except RefusedError as error:  # `prepare` could read it
            raise UserError(
                f"{self.content.name(row)} cannot be decoded ({error}); run `dvc repro prepare --force`"
            ) from None
