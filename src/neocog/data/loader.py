"""Data loader: batches as slices of the packed array; no worker, no collate, no per-sample Python.

The order of a training epoch is drawn from (seed, epoch) when iteration begins, so a resumed training sees the same
images in the same order; the global batch is fixed and each rank takes its part of it, so the order does not depend on
the number of devices either. An epoch can be drawn in equal parts from groups of unequal size.
"""

import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from neocog.data.decoding.encoded_images import EncodedImages
from neocog.data.prepared import Split


class Batches:
    """Iterates over (images uint8 [B, H, W, C], targets [B, ...]) of one split; with `indices` also those of the images in it, int64 [B].

    `batch_size` counts the images of all ranks together. With `shuffle` an epoch is cut to whole windows of `window` batches, which is what
    one optimizer step accumulates (unless there is not even one).
    `alike` [n], int64: as many images of each of these numbers are drawn, to one, in a shuffled epoch; it is as long as ever.
    `waited` adds up the seconds that the training loop spent in here.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        shuffle: bool,
        window: int = 1,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        indices: bool = False,
        alike: np.ndarray | None = None,
    ) -> None:
        self.images: np.ndarray | EncodedImages = split.images
        self.targets = np.ascontiguousarray(split.targets)
        self.batch_size, self.shuffle, self.seed, self.rank, self.ranks = batch_size, shuffle, seed, rank, ranks
        self.window, self.indices, self.alike = window, indices, alike
        self.epoch = 0
        self.waited = 0.0

    def __len__(self) -> int:
        if not self.shuffle:
            return math.ceil(len(self.targets) / self.batch_size)
        batches = len(self.targets) // self.batch_size
        return batches // self.window * self.window or max(1, batches)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        begin = time.perf_counter()
        for rows, images in self._read(list(self._rows())):
            batch: tuple[Tensor, ...] = (
                torch.from_numpy(images),
                torch.from_numpy(self.targets.take(rows, axis=0)),
            )
            if self.indices:
                batch = *batch, torch.from_numpy(rows)
            self.waited += time.perf_counter() - begin
            yield batch
            begin = time.perf_counter()

    def _rows(self) -> Iterator[np.ndarray]:
        """The rows of this rank in each batch."""
        order = self._order()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            rows = order[start : start + self.batch_size]
            yield np.array_split(rows, self.ranks)[self.rank] if self.ranks > 1 else rows

    def _read(self, batches: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each batch of rows with its images; encoded ones are decoded ahead."""
        if isinstance(self.images, EncodedImages):
            yield from zip(batches, self.images.ahead(batches), strict=True)
        else:
            yield from ((rows, self.images.take(rows, axis=0)) for rows in batches)

    def _order(self) -> np.ndarray:
        count = len(self.targets)
        if not self.shuffle:
            return np.arange(count)
        chance = np.random.default_rng((self.seed, self.epoch))
        if self.alike is None:
            return chance.permutation(count)
        return drawn_alike(self.alike, min(count, len(self) * self.batch_size), chance)


def drawn_alike(groups: np.ndarray, count: int, chance: np.random.Generator) -> np.ndarray:
    """`count` indices of `groups` [n] in random order, as many of each group, to one; which get one more, chance decides.

    The images of a group are seen equally often, to one: no image is drawn again before all of its group were.
    """
    kinds = chance.permutation(np.unique(groups))
    share, more = divmod(count, len(kinds))
    drawn = []
    for turn, kind in enumerate(kinds):
        members = chance.permutation(np.flatnonzero(groups == kind))
        drawn.append(np.resize(members, share + (turn < more)))
    return chance.permutation(np.concatenate(drawn))
