"""Which sizes of image suit a network: large enough for every layer, and without pixels that nothing looks at."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from neocog.core.constrained_types import LARGEST_IMAGE
from neocog.core.errors import UserError
from neocog.inspect.shapes.layers import Layer, layers_of
from neocog.inspect.shapes.recorder import TooSmall

NEXT = 32  # sizes that are tried one by one: what divides an image often wants multiples of 16 or 32
TRIES = 12
REFUSALS = (
    ValueError,
    RuntimeError,
    AssertionError,
    ZeroDivisionError,
)  # how a network says that a size does not suit it


def layers_that_fit(build: Callable[[int], nn.Module], *, channels: int, size: int) -> tuple[nn.Module, list[Layer]]:
    """The network that `build(size)` makes, and its layers. Raises UserError with the next size that works if this one does not."""
    try:
        return layers_of(partial(build, size), channels=channels, size=size)
    except REFUSALS as error:
        works = _next(build, channels=channels, above=size)
        if works is None and isinstance(error, UserError) and not isinstance(error, TooSmall):  # it is not the size
            raise
        trouble = "is too small" if isinstance(error, TooSmall) else "does not work"
        reason = str(error).partition("; set data.size")[0]  # here it is asked for by --image
        remedy = f"the next that works is --image {works}" if works else f"nor does a larger one up to {LARGEST_IMAGE}"
        raise UserError(f"--image {size} {trouble}: {reason}; {remedy}") from error


def _next(build: Callable[[int], nn.Module], *, channels: int, above: int) -> int | None:
    """The next size above `above` that a network takes, if one up to the largest does: one by one, then by doubling and halving."""

    def works(size: int) -> bool:
        try:
            layers_of(partial(build, size), channels=channels, size=size)
        except REFUSALS:
            return False
        return True

    for size in range(above + 1, min(above + NEXT, LARGEST_IMAGE) + 1):
        if works(size):
            return size
    low, high = above + NEXT, 2 * (above + NEXT)
    while high <= LARGEST_IMAGE and not works(high):
        low, high = high, high * 2
    if high > LARGEST_IMAGE:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle) else (middle, high)
    return high


def size_without_waste(
    build: Callable[[int], nn.Module], found: Sequence[Layer], *, channels: int, size: int
) -> int | None:
    """A size from `size` on at which no layer leaves pixels unused, `found` being the layers at `size`; None if none shows itself soon."""
    for _ in range(TRIES):
        sizes = [layer.better_image for layer in found if layer.warning]
        if not sizes:
            return size
        better = min((other for other in sizes if other), default=size)
        if better == size or None in sizes:
            return None
        size = better
        try:
            _, found = layers_of(partial(build, size), channels=channels, size=size)
        except REFUSALS:
            return None
    return None
