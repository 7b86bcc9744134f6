"""Columns of text for millions of rows: bytes in one piece, where a list of `str` takes 50 bytes more a row.

Both are read as sequences of text. `take` picks rows of any sequence and keeps its kind.
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

STEP = 1 << 14  # rows handled at a time


class TextColumn(Sequence[str]):
    """Text that grows at its end, such as paths; names of files in any encoding are kept."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._content, self._ends = bytearray(), array("q", [0])
        self.extend(values)

    def append(self, value: str) -> None:
        """Add a row."""
        self._content += value.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._content))

    def extend(self, values: Iterable[str]) -> None:
        """Add rows."""
        for value in values:
            self.append(value)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [self[i] for i in range(*key.indices(len(self)))]
        i = range(len(self))[key]
        return self._content[self._ends[i] : self._ends[i + 1]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))


class DigestColumn(Sequence[str]):
    """SHA-256 as hexadecimal text, of a fixed number of rows; zeros until they are set."""

    def __init__(self, digests: int | np.ndarray) -> None:
        self._digests = np.zeros((digests, 32), np.uint8) if isinstance(digests, int) else digests

    def __setitem__(self, i: int, digest: str) -> None:
        self._digests[i] = np.frombuffer(bytes.fromhex(digest), np.uint8)

    def __len__(self) -> int:
        return len(self._digests)

    def __getitem__(self, key: Any) -> Any:
        found = self._digests[key]
        return [row.tobytes().hex() for row in found] if found.ndim == 2 else found.tobytes().hex()

    def __iter__(self) -> Iterator[str]:
        return (row.tobytes().hex() for row in self._digests)

    def take(self, rows: np.ndarray) -> "DigestColumn":
        """Some rows."""
        return DigestColumn(self._digests[rows])


def take(values: Sequence[Any], rows: np.ndarray) -> Sequence[Any]:
    """The `rows` of any column; itself, where these are all in their order."""
    if len(rows) == len(values) and (rows == np.arange(len(rows))).all():
        return values
    if isinstance(values, DigestColumn):
        return values.take(rows)
    picked = (values[i] for i in rows)
    return TextColumn(picked) if isinstance(values, TextColumn) else list(picked)


class Ordered(Sequence[Any]):
    """A column in another order: row i is `values[order[i]]`, looked up when it is asked for."""

    def __init__(self, values: Sequence[Any], order: np.ndarray) -> None:
        self.values, self.order = values, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, key: Any) -> Any:
        found = self.order[key]
        return [self.values[i] for i in found] if found.ndim else self.values[found]


def update_with_json(content: Any, values: Sequence[Any]) -> None:
    """Update a hash with the JSON of a list, of which a part is held at a time."""
    content.update(b"[")
    for start in range(0, len(values), STEP):
        content.update(b", " * (start > 0) + json.dumps(list(values[start : start + STEP])).encode()[1:-1])
    content.update(b"]")
