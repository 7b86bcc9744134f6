"""What one operator of PyTorch does to what its inputs see of the image, how it slides, and how often it multiplies.

The operator counts, not the module that calls it: convolutions and poolings slide, elementwise ones unite, means and products unite what
they sum over, reshapes move. Whatever is none of these is taken to see all that its inputs see together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from neocog.inspect.shapes import receptive_field
from neocog.inspect.shapes.fit import Window
from neocog.inspect.shapes.receptive_field import Sight

Known = Callable[[Any], Sight | None]  # what a tensor sees; None if nothing of the image

ELEMENTWISE = {"native_batch_norm", "_to_copy", "copy", "hardswish", "_prelu_kernel"}  # not tagged as such by torch
REPLACED = {"_unsafe_view", "roll", "flip", "repeat", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"}
SOFTMAX = {"_softmax", "_safe_softmax", "_log_softmax"}
PRODUCTS = {"mm", "bmm", "addmm", "baddbmm"}
POOLED = {"max_pool2d_with_indices": 2, "avg_pool2d": 2, "max_pool3d_with_indices": 3, "avg_pool3d": 3}
RESIZED = {"_adaptive_avg_pool2d": 0, "adaptive_max_pool2d": 0, "upsample_nearest2d": 0, "upsample_bilinear2d": 1}


@dataclass(frozen=True)
class Call:
    """One operator with its arguments."""

    func: OpOverload
    args: Sequence[Any]
    kwargs: dict[str, Any]

    @cached_property
    def name(self) -> str:
        """`add` for `aten.add.Tensor` and for the one in place, `aten.add_.Tensor`."""
        return self.func.overloadpacket.__name__.rstrip("_")

    @cached_property
    def given(self) -> dict[str, Any]:
        """The arguments under the names of the operator's schema, with their defaults."""
        return {
            argument.name: self.args[place]
            if place < len(self.args)
            else self.kwargs.get(argument.name, argument.default_value)
            for place, argument in enumerate(self.func._schema.arguments)
        }

    @cached_property
    def tensors(self) -> list[Tensor]:
        """The tensors whose numbers it takes; not those of which it takes the shape only."""
        forms = self.name.startswith("new_") or self.name.endswith("_like")
        return [] if forms else tensors(self.given.values())

    @property
    def moves(self) -> bool:
        """Does it only give the elements other places?"""
        return self.func.is_view or self.name in REPLACED

    @cached_property
    def windows(self) -> list[Window]:
        """What slides over the last dimensions of the first argument, a window for each; none where nothing slides."""
        if self.name in POOLED:
            filters = _each(self.given["kernel_size"], POOLED[self.name])
        elif self.name == "convolution" and not self.given["transposed"]:
            filters = list(self.given["weight"].shape[2:])
        else:
            return []
        strides, paddings, dilations = (
            _each(self.given.get(key) or default, len(filters))
            for key, default in (("stride", filters), ("padding", 0), ("dilation", 1))
        )
        ceil = bool(self.given.get("ceil_mode", False))
        return [Window(*sides, ceil) for sides in zip(filters, strides, paddings, dilations, strict=True)]

    def macs(self, output: Tensor) -> int:
        """Multiply-accumulates of convolutions and matrix products, by the rule of `neocog.evaluation.complexity`."""
        if self.name == "convolution":
            places = self.given["input"] if self.given["transposed"] else output
            return prod(places.shape) * prod(self.given["weight"].shape[1:])
        if self.name in PRODUCTS:
            *_, left, _ = self.tensors
            return prod(output.shape) * left.shape[-1]
        return 0


def tensors(values: Iterable[Any]) -> list[Tensor]:
    """The tensors among arguments or results, those in lists included."""
    flat = (item for value in values for item in (value if isinstance(value, list | tuple) else [value]))
    return [item for item in flat if isinstance(item, Tensor)]


def sights(call: Call, outputs: Sequence[Tensor], known: Known) -> list[Sight]:
    """What each output of a call sees; a single one if it is the same for all."""
    inputs = [seen for tensor in call.tensors if (seen := known(tensor))]
    if call.name in ("cat", "stack"):
        return [_joined(call, known)]
    if call.name in PRODUCTS:
        return [_product(call.tensors, outputs[0].ndim, known)]
    if torch.Tag.pointwise in call.func.tags or call.name in ELEMENTWISE:
        return [receptive_field.unite(inputs, outputs[0].ndim)]
    if len(inputs) == 1 and known(call.args[0]):
        return _alone(call, outputs, inputs[0])
    return [receptive_field.mix_all(inputs, outputs[0].ndim)]


def _alone(call: Call, outputs: Sequence[Tensor], own: Sight) -> list[Sight]:
    """An operator whose first argument alone comes from the image."""
    shape = call.args[0].shape
    if call.moves:
        return receptive_field.move(own, shape, lambda side: call.func(side, *call.args[1:], **call.kwargs))
    if call.windows:
        channels = [-1 - len(call.windows)] if call.name == "convolution" else []
        return [receptive_field.slide(receptive_field.mix(own, channels), shape, call.windows)]
    if call.name in RESIZED:
        return [receptive_field.resize(own, shape, outputs[0].shape[-2:], margin=RESIZED[call.name])]
    if call.name == "constant_pad_nd":
        return [_padded(own, shape, call.given["pad"])]
    along, keepdim = _summed(call, len(shape)), call.given.get("keepdim", True)
    return [
        receptive_field.mix_all([own], outputs[0].ndim)
        if along is None
        else receptive_field.mix(own, along, keepdim=keepdim)
    ]


def _summed(call: Call, dims: int) -> Sequence[int] | None:
    """The dimensions over which a mean, a norm or a softmax of a tensor of `dims` goes; None for any other operator."""
    if call.name == "native_layer_norm":
        return range(-len(call.given["normalized_shape"]), 0)
    if call.name not in SOFTMAX and torch.Tag.reduction not in call.func.tags:
        return None
    along = call.given.get("dim")
    if isinstance(along, int):
        return [along]
    return along or range(dims)


def _joined(call: Call, known: Known) -> Sight:
    seen, shapes = [known(part) for part in call.tensors], [list(part.shape) for part in call.tensors]
    dim = call.given["dim"]
    if call.name == "stack":  # along a new dimension
        dim %= len(shapes[0]) + 1
        seen = [
            own and receptive_field.move(own, shape, lambda side: side.unsqueeze(dim))[0]
            for own, shape in zip(seen, shapes, strict=True)
        ]
        shapes = [[*shape[:dim], 1, *shape[dim:]] for shape in shapes]
    return receptive_field.join(seen, shapes, dim)


def _product(factors: Sequence[Tensor], dims: int, known: Known) -> Sight:
    """Rows of the left matrix times columns of the right one, and a bias in front of both if there is one."""
    *bias, left, right = (known(factor) for factor in factors)
    parts = [left and receptive_field.mix(left, [-1]), right and receptive_field.mix(right, [-2]), *bias]
    return receptive_field.unite([part for part in parts if part], dims)


def _padded(own: Sight, shape: Sequence[int], pad: Sequence[int]) -> Sight:
    """`pad` counts from the last dimension. In front of a convolution it sees what would lie there, elsewhere nothing."""
    for back, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True), start=1):
        dim = len(shape) - back
        if (before or after) and own.reach.shape[dim + 1] > 1:
            axis = 2 - back if len(shape) == 4 and back <= 2 else None
            jump = 0 if axis is None else own.jump[axis]
            own = receptive_field.extend(own, dim, before=before, after=after, axis=axis, jump=jump)
    return own


def _each(values: Any, count: int) -> list[int]:
    """One value a dimension, where PyTorch takes one for all."""
    values = [values] if isinstance(values, int) else list(values)
    return values * count if len(values) == 1 else values
