"""Dynamic batching: requests that arrive while the model is busy share one pass of the graph."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from neocog.serving.budget import Overloaded
from neocog.serving.predictor import BATCH

Pixels = NDArray[np.uint8]
Predictions = NDArray[np.float32]


class Batcher:
    """Batched calls of `predict` (images [N, H, W, C] -> predictions [N, ...]) for one event loop, in a thread of its own.

    No request waits for others to come: one that finds the model idle is predicted alone and at once. At most `waiting` images wait.
    """

    def __init__(self, predict: Callable[[Pixels], Predictions], *, batch: int = BATCH, waiting: int) -> None:
        self._predict = predict
        self._batch = batch
        self._free = waiting
        self._queue: deque[tuple[Pixels, asyncio.Future[Predictions]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def predict(self, images: Pixels) -> Predictions:
        """The predictions [N, ...] of one request's images. Raises Overloaded, or what `predict` raises."""
        if self._queue and len(images) > self._free:
            raise Overloaded
        future: asyncio.Future[Predictions] = asyncio.get_running_loop().create_future()
        self._queue.append((images, future))
        self._free -= len(images)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._queue:
            batch = self._take()
            try:
                images = batch[0][0] if len(batch) == 1 else np.concatenate([images for images, _ in batch])
                found = await asyncio.get_running_loop().run_in_executor(self._thread, self._predict, images)
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            start = 0
            for images, future in batch:
                if not future.done():  # the client may have left
                    future.set_result(found[start : start + len(images)])
                start += len(images)
        self._worker = None

    def _take(self) -> list[tuple[Pixels, "asyncio.Future[Predictions]"]]:
        """The next requests, as many as make one batch; a single large one is one."""
        batch = [self._queue.popleft()]
        total = len(batch[0][0])
        while self._queue and total + len(self._queue[0][0]) <= self._batch:
            batch.append(self._queue.popleft())
            total += len(batch[-1][0])
        self._free += total
        return batch
