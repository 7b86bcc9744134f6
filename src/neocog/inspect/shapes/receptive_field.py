"""Receptive fields of the elements of a tensor, and how an operator changes them.

Araujo, A., Norris, W. & Sim, J. (2019). Computing receptive fields of convolutional neural networks. Distill, doi:10.23915/distill.00021.
On a chain of layers the field grows by (F - 1) jumps, and the jump is the product of the strides. Here every element knows how far
up, down, left and right it sees, so that branches (the farther one counts), windows of attention and reshapes come out right as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import inf, prod

import torch
from torch import Tensor

from neocog.core.image_size import Size
from neocog.inspect.shapes.fit import Window, extent, output_size

SIGNS = {0: (-1, 1, 0, 0, -1, 0), 1: (0, 0, -1, 1, 0, -1)}  # how `reach` changes one pixel further along rows, columns


@dataclass(frozen=True)
class Sight:
    """What the elements of one tensor see of the image.

    `reach` [6, ...]: pixels up, down, left and right of the image's first one, on into the padding, then minus the element's own row and
    column; -inf where nothing is seen. Behind the 6 stand the dimensions of the tensor, each 1 if all along it are alike. So whatever sees
    what several see has the maximum of their reach. `pitch`: the jump where a single row or column does not show it.
    """

    reach: Tensor
    pitch: tuple[int, int]

    @cached_property
    def jump(self) -> tuple[int, int]:
        """Image rows and columns from one element to the next."""
        found = []
        for own, pitch in zip(self.reach[4:], self.pitch, strict=True):
            places = own[own.isfinite()].unique()
            found.append(int(places.diff().min()) if len(places) > 1 else pitch)
        return found[0], found[1]

    def field(self) -> tuple[int, int]:
        """Rows and columns that the median element sees, padding included."""
        up, down, left, right = self.reach[:4, self.reach[0].isfinite()]
        return (int((up + down).median()) + 1, int((left + right).median()) + 1) if len(up) else (0, 0)

    def sees_all(self, size: Size) -> bool:
        """Does every element see every pixel of an image of this size?"""
        needed = torch.tensor([0.0, size[0] - 1.0, 0.0, size[1] - 1.0])
        return bool((self.reach[:4].flatten(1).amin(1) >= needed).all())


def of_image(size: Size) -> Sight:
    """Each pixel of an image [1, C, *size] sees itself."""
    rows, columns = torch.meshgrid(*(torch.arange(float(side)) for side in size), indexing="ij")
    return Sight(torch.stack([-rows, rows, -columns, columns, -rows, -columns])[:, None, None], (1, 1))


def unite(sights: Sequence[Sight], dims: int) -> Sight:
    """Elementwise, to a tensor of `dims` dimensions: an output sees what any of its inputs, broadcast against each other, sees.

    Its place is that of the first input that has rows and columns.
    """
    reaches = [s.reach.reshape(6, *[1] * (dims + 1 - s.reach.ndim), *s.reach.shape[1:]) for s in sights]
    first = next((place for place, reach in enumerate(reaches) if reach.numel() > 6), 0)
    union = reduce(torch.maximum, reaches)
    if len(sights) > 1:
        union[4:] = reaches[first][4:]
    return Sight(union, sights[first].pitch)


def mix(sight: Sight, dims: Sequence[int], *, keepdim: bool = True) -> Sight:
    """Sums over `dims` of the tensor: every output sees what any element along them sees."""
    behind = [dim % (sight.reach.ndim - 1) + 1 for dim in dims]
    if not behind:
        return sight
    pitch = sight.jump if any(sight.reach.shape[dim] > 1 for dim in behind) else sight.pitch
    return Sight(sight.reach.amax(behind, keepdim=keepdim), pitch)


def mix_all(sights: Sequence[Sight], dims: int) -> Sight:
    """Every one of the outputs, of `dims` dimensions, sees all that any input sees."""
    return unite([Sight(sight.reach.flatten(1).amax(1), sight.pitch) for sight in sights], dims)


def move(sight: Sight, shape: Sequence[int], place: Callable[[Tensor], Tensor | Sequence[Tensor]]) -> list[Sight]:
    """The elements of a tensor of `shape` get other places: `place` is done to their numbers as it is done to the tensor."""
    kinds = sight.reach.shape[1:]
    numbers = torch.arange(prod(kinds), dtype=torch.int32).view(kinds).expand(*shape)
    try:
        placed = place(numbers)
    except RuntimeError:  # a view across what is expanded
        placed = place(numbers.contiguous())
    parts = [placed] if isinstance(placed, Tensor) else placed
    return [Sight(sight.reach.flatten(1)[:, _short(part)], sight.pitch) for part in parts]


def join(sights: Sequence[Sight | None], shapes: Sequence[Sequence[int]], dim: int) -> Sight:
    """Concatenated along `dim`; None for a part that sees nothing of the image, as a class token.

    Maps behind each other (DenseNet, Inception) become one that sees as far as the farthest of them.
    """
    dims = len(shapes[0])
    at = dim % dims + 1
    seeing = [sight for sight in sights if sight is not None]
    union = unite([Sight(sight.reach.narrow(at, 0, 1), sight.pitch) for sight in seeing], dims)
    if all(sight.reach.shape[at] == 1 for sight in seeing):
        return union
    parts = []
    for sight, shape in zip(sights, shapes, strict=True):
        sizes = [*union.reach.shape[:at], shape[at - 1], *union.reach.shape[at + 1 :]]
        parts.append(torch.full(sizes, -inf) if sight is None else sight.reach.expand(sizes))
    return Sight(torch.cat(parts, at), union.pitch)


def extend(sight: Sight, dim: int, *, before: int, after: int, axis: int | None = None, jump: int = 0) -> Sight:
    """Padding along `dim`, or cutting if negative; along an `axis` of the image (0 rows, 1 columns) it sees what would lie there."""
    n = sight.reach.shape[dim + 1]
    index = torch.arange(-before, n + after)
    inside = index.clamp(0, n - 1)
    reach = sight.reach.index_select(dim + 1, inside)
    if axis is not None:
        beyond = ((index - inside) * jump).view(-1, *[1] * (reach.ndim - 2 - dim))
        for side, sign in enumerate(SIGNS[axis]):
            reach[side] += sign * beyond
    return Sight(reach, sight.pitch)


def slide(sight: Sight, shape: Sequence[int], windows: Sequence[Window]) -> Sight:
    """Windows over the last dimensions of a tensor of `shape`; two of them go over the rows and columns of the image."""
    pitch = list(sight.jump)
    for back, window in enumerate(reversed(windows), start=1):
        dim = len(shape) - back
        axis = 2 - back if len(windows) == 2 else None
        if axis is None and sight.reach.shape[dim + 1] == 1:
            continue
        sizes = [*sight.reach.shape[: dim + 1], shape[dim], *sight.reach.shape[dim + 2 :]]
        wide = extent(window.filter, window.dilation)
        last = (output_size(shape[dim], **vars(window)) - 1) * window.stride + wide
        after = last - window.padding - shape[dim]
        wider, jump = Sight(sight.reach.expand(sizes), sight.pitch), 0 if axis is None else pitch[axis]
        padded = extend(wider, dim, before=window.padding, after=after, axis=axis, jump=jump)
        seen = padded.reach.unfold(dim + 1, wide, window.stride)[..., :: window.dilation]
        if axis is not None:
            pitch[axis] *= window.stride
        sight = Sight(seen.amax(-1), (pitch[0], pitch[1]))
    return sight


def resize(sight: Sight, shape: Sequence[int], sizes: Sequence[int], *, margin: int = 0) -> Sight:
    """Adaptive pooling, or upsampling, of the last two dimensions of a tensor of `shape` to `sizes`: output i of m sees its part of n."""
    reach, pitch = sight.reach, list(sight.jump)
    for axis, m in enumerate(sizes):
        dim = len(shape) - 2 + axis
        n = shape[dim]
        old, pitch[axis] = pitch[axis], max(1, pitch[axis] * n // m)
        if reach.shape[dim + 1] == 1:
            continue
        parts = [(max(0, i * n // m - margin), min(n, -(-(i + 1) * n // m) + margin)) for i in range(m)]
        seen = [reach.narrow(dim + 1, start, end - start).amax(dim + 1, keepdim=True) for start, end in parts]
        reach = torch.cat(seen, dim + 1)
        if m > n:  # places between the old ones
            between = torch.arange(m) * n % m * old // m
            reach[4 + axis] -= between.view(-1, *[1] * (len(shape) - 1 - dim))
    return Sight(reach, (pitch[0], pitch[1]))


def _short(values: Tensor) -> Tensor:
    """Dimensions along which all values are equal become 1."""
    for dim in sorted(range(values.ndim), key=values.stride):  # those expanded, which need no look, first
        first = values.narrow(dim, 0, min(1, values.shape[dim]))
        if values.stride(dim) == 0 or torch.equal(values, first.expand_as(values)):
            values = first
    return values
