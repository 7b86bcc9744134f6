"""Where the bytes of an encoded image lie: in a file of its own, in a larger file such as a tar, or in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any


class RefusedError(Exception):
    """Why a file cannot be used, as `kind: detail`."""


@dataclass(frozen=True)
class ByteRange:
    """Bytes that lie in a larger file."""

    path: Path
    offset: int
    length: int


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

    def __init__(self, every: Sequence[Encoded], kept: Sequence[int]) -> None:
        self.every, self.kept = every, kept

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, i: Any) -> Any:
        return self.every[self.kept[i]]
