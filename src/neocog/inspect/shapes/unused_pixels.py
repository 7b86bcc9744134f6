"""The sentence about pixels that a layer is given and nothing looks at, with what would change that."""

from neocog.core import image_size
from neocog.core.image_size import Size
from neocog.inspect.shapes.fit import Window, extent, padding_that_fits, size_that_fits
from neocog.inspect.shapes.recorder import Slid


def sentence(layer: str, slid: Slid, *, image: Size) -> str | None:
    """What stays unused of the rows and columns that arrive at `layer`, for an `image` of this size; None if nothing does."""
    axes = list(zip(slid.sizes, slid.looked_at, slid.windows, slid.jump, strict=True))
    names = ["rows and columns"] if axes[0] == axes[1] and image[0] == image[1] else ["rows", "columns"]
    parts = [
        f"{size - len(seen)} of {size} {name} that it gets are never looked at, "
        f"{_why(size, window, jump=jump, image=image, axis=axis)}"
        for axis, (name, (size, seen, window, jump)) in enumerate(zip(names, axes, strict=False))
        if len(seen) < size
    ]
    return f"{layer}: {'; '.join(parts)}." if parts else None


def image_that_fits(slid: Slid, *, image: Size) -> Size | None:
    """The size of image, from `image` on, at which the layer leaves no row and no column unused; None if there is none.

    An image larger by one jump brings the layer exactly one row and column more. A square one stays square.
    """
    axes = zip(slid.sizes, slid.looked_at, slid.windows, slid.jump, image, strict=True)
    found = [
        _side(size, window, jump=jump, side=side) if len(seen) < size else side
        for size, seen, window, jump, side in axes
    ]
    height, width = found
    if height is None or width is None:
        return None
    return (max(height, width),) * 2 if image[0] == image[1] else (height, width)


def _side(size: int, window: Window, *, jump: int, side: int) -> int | None:
    fitting = size_that_fits(size, **vars(window))
    return None if fitting is None else side + (fitting - size) * jump


def _why(size: int, window: Window, *, jump: int, image: Size, axis: int) -> str:
    wide = extent(window.filter, window.dilation)
    if window.stride > wide:
        return f"because its stride {window.stride} steps over them: a filter of {window.stride} would use them"
    steps = size - wide + 2 * window.padding
    padding, better = padding_that_fits(size, **vars(window)), _side(size, window, jump=jump, side=image[axis])
    ways = [f"padding {padding}"] if padding is not None else []
    if better is not None:
        larger = (better, better) if image[0] == image[1] else (better, image[1]) if axis == 0 else (image[0], better)
        ways.append(f"--image {image_size.option(larger)}")
    cure = f": {' or '.join(ways)} would use them" if ways else ""
    return f"because {size} - {wide} + 2*{window.padding} = {steps} is no multiple of its stride {window.stride}{cure}"
