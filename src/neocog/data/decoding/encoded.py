"""Where the bytes of an encoded image lie: in a file of its own, in a larger file such as a tar, or in memory."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data.decoding import remote

_AT_ONCE = 1 << 26  # bytes of a request


class RefusedError(Exception):
    """Why a file cannot be used, as `kind: detail`."""


@dataclass(frozen=True)
class ByteRange:
    """Bytes that lie in a larger file, on this machine or at an address."""

    path: Path | str
    offset: int
    length: int


class ByteRanges(Sequence[ByteRange]):
    """Byte ranges of some files, 24 bytes each."""

    def __init__(self) -> None:
        self._paths: list[Path | str] = []
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
    if isinstance(encoded.path, str):
        content = remote.read(encoded.path, encoded.offset, encoded.offset + encoded.length)
    else:
        with encoded.path.open("rb") as file:
            file.seek(encoded.offset)
            content = file.read(encoded.length)
    if len(content) < encoded.length:
        raise RefusedError(f"truncated: {len(content):,} of {encoded.length:,} bytes are there")
    return BytesIO(content)


def fetched(images: Sequence[Encoded]) -> list[Encoded]:
    """The images, those that follow each other in a file at an address read in one request; what is cut off there stays a range."""
    found = list(images)
    for address, group in groupby(
        range(len(found)), lambda i: str(getattr(found[i], "path", "")) if _far(found[i]) else ""
    ):
        places = list(group)
        spans = [each for i in places if isinstance(each := found[i], ByteRange)]
        if not address or len(spans) < 2:
            continue
        start, stop = min(s.offset for s in spans), max(s.offset + s.length for s in spans)
        if stop - start > _AT_ONCE:
            continue
        content = remote.read(address, start, stop)
        for i, span in zip(places, spans, strict=True):
            own = content[span.offset - start : span.offset - start + span.length]
            found[i] = own if len(own) == span.length else span
    return found


def _far(encoded: Encoded) -> bool:
    return isinstance(encoded, ByteRange) and isinstance(encoded.path, str)


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
