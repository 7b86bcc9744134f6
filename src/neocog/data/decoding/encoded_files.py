"""Encoded images on their way from a nameless file into a prepared data set."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from neocog.data.decoding.encoded_images import CONTENT, OFFSETS
from neocog.data.pixel_statistics import PixelSums


class EncodedFiles:
    """M images in a file: from `starts[i]` on the sums of the pixels of image i, int64 [2, summed], then its `lengths[i]` bytes."""

    FILES = (CONTENT, OFFSETS)

    def __init__(
        self, file: IO[bytes], starts: np.ndarray, lengths: np.ndarray, shape: Sequence[int], *, summed: int
    ) -> None:
        self.file = os.fdopen(os.dup(file.fileno()), "rb")  # lives on when the other is closed
        self.starts, self.lengths, self.shape, self.summed = starts, lengths, tuple(shape), summed

    def write(self, folder: Path, rows: np.ndarray, *, num_train: int, content: Any) -> PixelSums:
        """Write the images of `rows` [N] in this order and update the hash `content`; return the sums of the first `num_train` of them."""
        before = 16 * self.summed  # bytes of an image's sums
        sums = PixelSums(self.shape[3])
        with (folder / CONTENT).open("wb") as out:
            for i, row in enumerate(rows):
                found = os.pread(self.file.fileno(), before + int(self.lengths[row]), int(self.starts[row]))
                out.write(found[before:])
                content.update(found[before:])
                if i < num_train:
                    own = np.frombuffer(found[:before], np.int64).reshape(2, self.summed)
                    sums.add_sums(own[:, : self.shape[3]], pixels=self.shape[1] * self.shape[2])
        np.save(folder / OFFSETS, np.concatenate([[0], np.cumsum(self.lengths[rows], dtype=np.int64)]))
        return sums
