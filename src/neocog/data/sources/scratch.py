"""What is decoded, in a nameless file until the whole is written: pixels, or the encoded bytes, or nothing, with the sums of the pixels."""

from collections.abc import Sequence
from typing import IO

import numpy as np

from neocog.data.decoding.decode import Decoded
from neocog.data.decoding.encoded import Encoded
from neocog.data.decoding.encoded_files import EncodedFiles
from neocog.data.decoding.referenced import ReferencedImages


class PackedScratch:
    """Pixels: image i of uint8 `shape` [N, H, W, C] is written in its place."""

    def __init__(self, file: IO[bytes], shape: Sequence[int]) -> None:
        self.file, self.shape = file, shape

    def add(self, i: int, decoded: Decoded) -> None:
        """Keep image i."""
        assert decoded.pixels is not None
        self.file.seek(i * decoded.pixels.size)
        self.file.write(decoded.pixels.tobytes())

    def images(self, readable: np.ndarray, *, gray: bool) -> np.ndarray:
        """All of them; with `gray` one channel of three alike. The mapping keeps the file's content alive after its end."""
        self.file.flush()
        images: np.ndarray = np.zeros((0, *self.shape[1:]), np.uint8)
        if len(readable):
            images = np.memmap(self.file, np.uint8, "r", shape=(int(readable[-1]) + 1, *self.shape[1:]))
        return images[..., :1] if gray else images


class ReferencedScratch:
    """The sums of the pixels of image i and the SHA-256 of its bytes, in its place; the bytes stay where they are."""

    def __init__(self, file: IO[bytes], shape: Sequence[int], encoded: Sequence[Encoded] | None) -> None:
        self.file, self.shape, self.encoded = file, shape, encoded or ()

    def add(self, i: int, decoded: Decoded) -> None:
        """Keep image i."""
        assert decoded.sums is not None
        own = decoded.sums.astype(np.int64).tobytes() + bytes.fromhex(decoded.file_sha256)
        self.file.seek(i * len(own))
        self.file.write(own)

    def images(self, readable: np.ndarray, *, gray: bool) -> ReferencedImages:
        """All of them; with `gray` decoded to one channel."""
        self.file.flush()
        shape = (*self.shape[:3], 1 if gray else self.shape[3])
        return ReferencedImages(self.file, self.encoded, shape, summed=self.shape[3])


class EncodedScratch:
    """Encoded bytes behind the sums of their pixels, in the order in which they come."""

    def __init__(self, file: IO[bytes], shape: Sequence[int]) -> None:
        self.file, self.shape = file, shape
        self.starts, self.lengths = np.zeros(shape[0], np.int64), np.zeros(shape[0], np.int64)
        self.end = 0

    def add(self, i: int, decoded: Decoded) -> None:
        """Keep image i."""
        assert decoded.content is not None and decoded.sums is not None
        sums = decoded.sums.astype(np.int64).tobytes()
        self.file.write(sums + decoded.content)
        self.starts[i], self.lengths[i] = self.end, len(decoded.content)
        self.end += len(sums) + len(decoded.content)

    def images(self, readable: np.ndarray, *, gray: bool) -> EncodedFiles:
        """All of them; with `gray` decoded to one channel."""
        self.file.flush()
        shape = (*self.shape[:3], 1 if gray else self.shape[3])
        return EncodedFiles(self.file, self.starts, self.lengths, shape, summed=self.shape[3])
