"""Image sizes that suit a network: large enough for every layer, and without unused pixels."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from neocog.core import image_size
from neocog.core.constrained_types import LARGEST_IMAGE
from neocog.core.errors import UserError
from neocog.core.image_size import Size
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


def layers_that_fit(build: Callable[[Size], nn.Module], *, channels: int, size: Size) -> tuple[nn.Module, list[Layer]]:
    """The network that `build(size)` makes, and its layers. Raises UserError with the next size that works if this one does not."""
    try:
        return layers_of(partial(build, size), channels=channels, size=size)
    except REFUSALS as error:
        works = _next(build, channels=channels, above=size)
        if works is None and isinstance(error, UserError) and not isinstance(error, TooSmall):  # it is not the size
            raise
        trouble = "is too small" if isinstance(error, TooSmall) else "does not work"
        reason = str(error).partition("; set data.size")[0]  # here it is asked for by --image
        remedy = (
            f"the next that works is --image {image_size.option(works)}"
            if works
            else f"nor does a larger one up to {LARGEST_IMAGE}"
        )
        raise UserError(f"--image {image_size.option(size)} {trouble}: {reason}; {remedy}") from error


def _next(build: Callable[[Size], nn.Module], *, channels: int, above: Size) -> Size | None:
    """The next size above `above` that a network takes, if one up to the largest does.

    Of a square one by one, then by doubling and halving; of an oblong one both sides are rounded up to ever larger powers of two.
    """

    def works(size: Size) -> bool:
        try:
            layers_of(partial(build, size), channels=channels, size=size)
        except REFUSALS:
            return False
        return True

    if above[0] != above[1]:
        powers = [2**power for power in range(1, LARGEST_IMAGE.bit_length())]
        rounded = ((-(-above[0] // power) * power, -(-above[1] // power) * power) for power in powers)
        return next((size for size in rounded if size != above and max(size) <= LARGEST_IMAGE and works(size)), None)
    side = above[0]
    for more in range(side + 1, min(side + NEXT, LARGEST_IMAGE) + 1):
        if works((more, more)):
            return more, more
    low, high = side + NEXT, 2 * (side + NEXT)
    while high <= LARGEST_IMAGE and not works((high, high)):
        low, high = high, high * 2
    if high > LARGEST_IMAGE:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works((middle, middle)) else (middle, high)
    return high, high


def size_without_waste(
    build: Callable[[Size], nn.Module], found: Sequence[Layer], *, channels: int, size: Size
) -> Size | None:
    """A size from `size` on at which no layer leaves pixels unused, `found` being the layers at `size`; None if none shows itself soon."""
    for _ in range(TRIES):
        sizes = [layer.better_image for layer in found if layer.warning]
        if not sizes:
            return size
        better = [
            (min((other[axis] for other in sizes if other and other[axis] > size[axis]), default=size[axis]))
            for axis in (0, 1)
        ]
        if (better[0], better[1]) == size or None in sizes:
            return None
        size = better[0], better[1]
        try:
            _, found = layers_of(partial(build, size), channels=channels, size=size)
        except REFUSALS:
            return None
    return None
