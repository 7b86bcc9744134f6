"""The sentence about pixels that a layer is given and nothing looks at, with what would change that."""

from neocog.inspect.shapes.fit import Window, extent, padding_that_fits, size_that_fits
from neocog.inspect.shapes.recorder import Slid


def sentence(layer: str, slid: Slid, *, image: int) -> str | None:
    """What stays unused of the rows and columns that arrive at `layer`, for an `image` of this size; None if nothing does."""
    axes = list(zip(slid.sizes, slid.looked_at, slid.windows, slid.jump, strict=True))
    names = ["rows and columns"] if axes[0] == axes[1] else ["rows", "columns"]
    told = [
        f"{size - len(seen)} of {size} {name} that it gets are never looked at, {_why(size, window, jump=jump, image=image)}"
        for name, (size, seen, window, jump) in zip(names, axes, strict=False)
        if len(seen) < size
    ]
    return f"{layer}: {'; '.join(told)}." if told else None


def image_that_fits(slid: Slid, *, image: int) -> int | None:
    """The size of image, from `image` on, at which the layer leaves no row and no column unused; None if there is none.

    An image larger by one jump brings the layer exactly one row and column more.
    """
    axes = zip(slid.sizes, slid.looked_at, slid.windows, slid.jump, strict=True)
    found = [_image(size, window, jump=jump, image=image) for size, seen, window, jump in axes if len(seen) < size]
    return None if None in found else max((size for size in found if size), default=image)


def _image(size: int, window: Window, *, jump: int, image: int) -> int | None:
    fitting = size_that_fits(size, **vars(window))
    return None if fitting is None else image + (fitting - size) * jump


def _why(size: int, window: Window, *, jump: int, image: int) -> str:
    wide = extent(window.filter, window.dilation)
    if window.stride > wide:
        return f"because its stride {window.stride} steps over them: a filter of {window.stride} would use them"
    steps = size - wide + 2 * window.padding
    padding, better = padding_that_fits(size, **vars(window)), _image(size, window, jump=jump, image=image)
    ways = [f"padding {padding}"] if padding is not None else []
    ways += [f"--image {better}"] if better is not None else []
    cure = f": {' or '.join(ways)} would use them" if ways else ""
    return f"because {size} - {wide} + 2*{window.padding} = {steps} is no multiple of its stride {window.stride}{cure}"
