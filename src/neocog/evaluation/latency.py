"""Latency and throughput, of all models in one process on one thread, taking turns, so that a drift hits all alike."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from neocog.bundle.read import Bundle

Images = NDArray[np.uint8]
Predict = Callable[[Images], object]

CALLS = 30  # single images a turn: 30 rounds give the 900 times behind p50 and p95


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one image at a time (median, 95th percentile), and images a second in batches."""

    latency_ms_p50: float
    latency_ms_p95: float
    throughput_ips: float

    def __str__(self) -> str:
        alone = f"{self.latency_ms_p50:.3g} ms an image (95 % under {self.latency_ms_p95:.3g})"
        return f"{alone}, {self.throughput_ips:,.0f} images/s in batches"


def predictor(bundle: Bundle) -> Predict:
    """The bundle's graph on one thread, as a function of uint8 [N, H, W, C]."""
    session = bundle.session(threads=1)
    return lambda images: session.run(None, {"images": images})


def measure(
    models: Mapping[str, Predict],
    images: Images,
    *,
    rounds: int,
    batch_size: int,
    seed: int,
    on_round: Callable[[], None] = lambda: None,
) -> dict[str, Latency]:
    """Time every model on images uint8 [N, H, W, C]. `on_round` is called after each of the `rounds`.

    In each round every model has one turn, in an order drawn anew: one single image that is not timed, since it finds
    cold caches, then 30 single images and one batch that are. Throughput is that of the median batch.
    """
    draw = np.random.default_rng(seed)
    single: dict[str, list[float]] = {name: [] for name in models}
    batched: dict[str, list[float]] = {name: [] for name in models}
    warm = images[:1].repeat(batch_size, axis=0)
    for predict in models.values():
        predict(warm)
    with _no_garbage_collection():
        for _ in range(rounds):
            rows = draw.integers(len(images), size=CALLS + batch_size)
            singles, batch = [images[row : row + 1].copy() for row in rows[:CALLS]], images[rows[CALLS:]]
            for name in draw.permutation(list(models)):
                models[name](singles[0])
                single[name] += [_seconds(models[name], image) for image in singles]
                batched[name].append(_seconds(models[name], batch))
            on_round()
    return {
        name: Latency(
            latency_ms_p50=1000 * float(np.quantile(single[name], 0.5)),
            latency_ms_p95=1000 * float(np.quantile(single[name], 0.95)),
            throughput_ips=batch_size / float(np.median(batched[name])),
        )
        for name in models
    }


def _seconds(predict: Predict, images: Images) -> float:
    start = perf_counter()
    predict(images)
    return perf_counter() - start


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Python's collector would stop one model at random; what is timed makes no cycles to collect."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
