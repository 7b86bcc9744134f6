"""Parquet files of numpy arrays, by their buffers: pyarrow's own ways import pandas where it is installed, which takes 1.6 s."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray


def write(path: Path, columns: Mapping[str, pa.Array]) -> None:
    """Write a parquet file of `columns`. An older file is replaced, not changed: tracking may hold a link to it."""
    path.unlink(missing_ok=True)
    pq.write_table(pa.table(dict(columns)), path)


def read(path: Path) -> pa.Table:
    """The table in a parquet file."""
    return pq.ParquetFile(path).read()


def names(column: pa.ChunkedArray) -> np.ndarray:
    """Strings as an array of objects [N]."""
    return np.array(column.to_pylist(), dtype=object)


def matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """N lists of K numbers as float32 [N, K]: what `rows` made."""
    flat = column.combine_chunks().values
    return np.asarray(np.from_dlpack(flat), np.float32).reshape(len(column), -1)


def numbers(values: np.ndarray) -> pa.Array:
    """Numbers [N]."""
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, buffer])


def strings(values: Sequence[str]) -> pa.Array:
    """Strings [N]."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def rows(values: np.ndarray) -> pa.Array:
    """Numbers [N, K] as N lists of K."""
    n, length = values.shape
    return pa.ListArray.from_arrays(
        numbers(np.arange(n + 1, dtype=np.int32) * np.int32(length)), numbers(values.ravel())
    )


def indices(values: np.ndarray) -> pa.Array:
    """Booleans [N, K] as N lists of the places that are true."""
    ends = np.cumsum([0, *values.sum(axis=1)], dtype=np.int32)
    return pa.ListArray.from_arrays(numbers(ends), numbers(np.nonzero(values)[1].astype(np.int64)))
