"""The size of images: height and width in pixels, in this order, wherever code hands it on.

A square may be written as its side: in params.yaml, in options, and in dataset.json and bundle.json, which always write it so.
"""

from collections.abc import Sequence

Size = tuple[int, int]  # height, width


def pair(size: int | Sequence[int]) -> Size:
    """(height, width) of a size that may be the side of a square. Raises ValueError for what is no size."""
    height, width = (size, size) if isinstance(size, int) else size
    if not all(isinstance(side, int) and side > 0 for side in (height, width)):
        raise ValueError(f"size {size}")
    return height, width


def short(size: Size) -> int | list[int]:
    """As files write it: the side of a square, else [height, width]."""
    return size[0] if size[0] == size[1] else list(size)


def format_size(size: Size) -> str:
    """As people read it: 28, or 28 x 40."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]} x {size[1]}"


def option(size: Size) -> str:
    """As the options of the command line take it: 28, or 28x40."""
    return format_size(size).replace(" ", "")
