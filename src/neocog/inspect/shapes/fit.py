"""How a filter fits on a row of pixels: the size that comes out, (N - F + 2P) / S + 1, and the pixels it never looks at.

Dumoulin, V. & Visin, F. (2016). A guide to convolution arithmetic for deep learning. arXiv:1603.07285. Everything is for one axis, in
pixels; a dilated filter is as wide as D (F - 1) + 1. With `ceil` a last window may begin inside and end outside, as in PyTorch's pooling.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Window:
    """What slides along one axis: the keywords of the functions below."""

    filter: int
    stride: int
    padding: int
    dilation: int = 1
    ceil: bool = False


def output_size(n: int, *, filter: int, stride: int, padding: int, dilation: int = 1, ceil: bool = False) -> int:
    """Positions of the filter on `n` pixels; 0 if it does not fit at all."""
    steps = n + 2 * padding - extent(filter, dilation)
    size = (-(-steps // stride) if ceil else steps // stride) + 1
    if ceil and (size - 1) * stride >= n + padding:  # a window that begins behind the image does not count
        size -= 1
    return max(0, size)


def looked_at(n: int, *, filter: int, stride: int, padding: int, dilation: int = 1, ceil: bool = False) -> set[int]:
    """Which of the pixels 0 .. n - 1 lie under the filter at any of its positions; padding is not among them."""
    size = output_size(n, filter=filter, stride=stride, padding=padding, dilation=dilation, ceil=ceil)
    places = {out * stride - padding + tap * dilation for out in range(size) for tap in range(filter)}
    return {place for place in places if 0 <= place < n}


def unused(n: int, **window: Any) -> int:
    """Of `n` pixels, how many the filter never looks at: left over at the end, or between two positions."""
    return n - len(looked_at(n, **window))


def padding_that_fits(n: int, *, padding: int, **window: Any) -> int | None:
    """The smallest padding from `padding` on that leaves no pixel unused; None if none up to half the filter does.

    More is not tried: pooling refuses it, and no window should see more border than image.
    """
    half = extent(window["filter"], window.get("dilation", 1)) // 2
    fits = (more for more in range(padding, half + 1) if not unused(n, padding=more, **window))
    return next(fits, None)


def size_that_fits(n: int, **window: Any) -> int | None:
    """The smallest size from `n` on that leaves no pixel unused; None if none does."""
    fits = (size for size in range(n, n + window["stride"]) if not unused(size, **window))
    return next(fits, None)


def extent(filter: int, dilation: int) -> int:
    """Pixels from the first to the last that the filter looks at."""
    return dilation * (filter - 1) + 1
