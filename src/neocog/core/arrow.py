"""Numpy arrays as Arrow's, by their buffers: pyarrow's own ways import pandas where it is installed, which takes 1.6 s."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


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
