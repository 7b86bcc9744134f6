"""Requests that arrive while the model is busy are asked together: one pass of the graph for many of them."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from neocog.serving.budget import Overloaded
from neocog.serving.predictor import BATCH

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


class Together:
    """`answer` (images [N, H, W, C] -> probabilities [N, K]) for many callers of one event loop; it runs in a thread of its own.

    Nobody waits for others to come: a request that finds the model idle is asked alone and at once. At most `waiting` images wait.
    """

    def __init__(self, answer: Callable[[Pixels], Probabilities], *, most: int = BATCH, waiting: int) -> None:
        self._answer = answer
        self._most = most
        self._room = waiting
        self._queue: deque[tuple[Pixels, asyncio.Future[Probabilities]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def ask(self, images: Pixels) -> Probabilities:
        """The probabilities [N, K] of one request's images. Raises Overloaded, or what `answer` raises."""
        if self._queue and len(images) > self._room:
            raise Overloaded
        future: asyncio.Future[Probabilities] = asyncio.get_running_loop().create_future()
        self._queue.append((images, future))
        self._room -= len(images)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._queue:
            batch = self._take()
            try:
                images = batch[0][0] if len(batch) == 1 else np.concatenate([images for images, _ in batch])
                found = await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, images)
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

    def _take(self) -> list[tuple[Pixels, "asyncio.Future[Probabilities]"]]:
        """The next requests, as many as make one batch; a single large one is one."""
        batch = [self._queue.popleft()]
        total = len(batch[0][0])
        while self._queue and total + len(self._queue[0][0]) <= self._most:
            batch.append(self._queue.popleft())
            total += len(batch[-1][0])
        self._room += total
        return batch
