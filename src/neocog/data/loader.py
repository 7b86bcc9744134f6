"""Batches as slices of the packed array: no worker, no collate, no per-sample Python.

The order of a training epoch is drawn from (seed, epoch) when iteration begins, so a resumed training sees the same
images in the same order; the global batch is fixed and each rank takes its part of it, so the order does not depend on
the number of devices either.
"""

import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from neocog.data.prepared import Split


class Batches:
    """Iterates over (images uint8 [B, H, W, C], labels int64 [B]) of one split; with `places` also where they stand in it, int64 [B].

    `batch_size` counts the images of all ranks together. With `shuffle` an epoch is cut to whole windows of `window` batches, which is what
    one optimizer step accumulates (unless there is not even one).
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
        places: bool = False,
    ) -> None:
        self.images, self.labels = split.images, np.ascontiguousarray(split.labels)
        self.batch_size, self.shuffle, self.seed, self.rank, self.ranks = batch_size, shuffle, seed, rank, ranks
        self.window, self.places = window, places
        self.epoch = 0
        self.waited = 0.0

    def __len__(self) -> int:
        if not self.shuffle:
            return math.ceil(len(self.labels) / self.batch_size)
        batches = len(self.labels) // self.batch_size
        return batches // self.window * self.window or max(1, batches)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        count = len(self.labels)
        order = np.random.default_rng((self.seed, self.epoch)).permutation(count) if self.shuffle else np.arange(count)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            begin = time.perf_counter()
            rows = order[start : start + self.batch_size]
            if self.ranks > 1:
                rows = np.array_split(rows, self.ranks)[self.rank]
            batch: tuple[Tensor, ...] = (
                torch.from_numpy(self.images.take(rows, axis=0)),
                torch.from_numpy(self.labels.take(rows)),
            )
            if self.places:
                batch = *batch, torch.from_numpy(rows)
            self.waited += time.perf_counter() - begin
            yield batch
