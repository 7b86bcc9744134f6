"""Where the bytes of an encoded image lie: in a file of its own, in a larger file such as a tar, or in memory."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import numpy as np


class RefusedError(Exception):
    """Why a file cannot be used, as `kind: detail`."""


@dataclass(frozen=True)
class ByteRange:
    """Bytes that lie in a larger file."""

    path: Path
    offset: int
    length: int


class ByteRanges(Sequence[ByteRange]):
    """Byte ranges of some files, 24 bytes each."""

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._numbers, self._offsets, self._lengths = array("q"), array("q"), array("q")

    def append(self, span: ByteRange) -> None:
        """Add one; those of a file follow each other."""
        if not self._paths or self._paths[-1] != span.path:
            self._paths.append(span.path)
        self._numbers.append(len(self._paths) - 1)
        self._offsets.append(span.offset)
        self._lengths.append(span.length)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, i: Any) -> Any:
        return ByteRange(self._paths[self._numbers[i]], self._offsets[i], self._lengths[i])


@dataclass(frozen=True)
class Unavailable:
    """An image whose bytes are not to be had, and why."""

    reason: str


Encoded = Path | ByteRange | bytes | Unavailable


def open_encoded(encoded: Encoded, *, most: int, limit: str) -> BufferedReader | BytesIO:
    """The bytes of an image as a file. Raises RefusedError for more than `most` of them (`limit` says of what that is), and OSError."""
    if isinstance(encoded, Unavailable):
        raise RefusedError(encoded.reason)
    length = len(encoded) if isinstance(encoded, bytes) else _length(encoded)
    if length > most:
        raise RefusedError(f"too large: {length:,} bytes are more than {limit}")
    if isinstance(encoded, bytes):
        return BytesIO(encoded)
    if isinstance(encoded, Path):
        return encoded.open("rb")
    with encoded.path.open("rb") as file:
        file.seek(encoded.offset)
        content = file.read(encoded.length)
    if len(content) < encoded.length:
        raise RefusedError(f"truncated: {len(content):,} of {encoded.length:,} bytes are there")
    return BytesIO(content)


def _length(encoded: Path | ByteRange) -> int:
    return encoded.length if isinstance(encoded, ByteRange) else encoded.stat().st_size


class Picked(Sequence[Encoded]):
    """Some images of a sequence, each read when it is asked for."""

    def __init__(self, every: Sequence[Encoded], kept: "Sequence[int] | np.ndarray") -> None:
        self.every, self.kept = every, kept

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, i: Any) -> Any:
        return self.every[self.kept[i]]
