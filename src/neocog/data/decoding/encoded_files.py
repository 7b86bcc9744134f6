"""Encoded images on their way from a nameless file into a prepared data set."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from neocog.data.decoding.encoded_images import CONTENT, OFFSETS
from neocog.data.pixel_statistics import PixelSums


class EncodedFiles:
    """M images as bytes of a file: image i has `lengths[i]` of them from `starts[i]` on, and its pixels the `sums` int64 [M, 2, C]."""

    def __init__(
        self, file: IO[bytes], starts: np.ndarray, lengths: np.ndarray, sums: np.ndarray, shape: Sequence[int]
    ) -> None:
        self.file = os.fdopen(os.dup(file.fileno()), "rb")  # lives on when the other is closed
        self.starts, self.lengths, self.sums, self.shape = starts, lengths, sums, tuple(shape)

    def write(self, folder: Path, rows: np.ndarray, *, num_train: int, content: Any) -> PixelSums:
        """Write the images of `rows` [N] in this order and update the hash `content`; return the sums of the first `num_train` of them."""
        with (folder / CONTENT).open("wb") as out:
            for row in rows:
                self.file.seek(self.starts[row])
                encoded = self.file.read(self.lengths[row])
                out.write(encoded)
                content.update(encoded)
        np.save(folder / OFFSETS, np.cumsum([0, *self.lengths[rows]], dtype=np.int64))
        sums = PixelSums(self.shape[3])
        for row in rows[:num_train]:
            sums.add_sums(self.sums[row], pixels=self.shape[1] * self.shape[2])
        return sums
