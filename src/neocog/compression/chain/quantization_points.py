"""Quantization points: where an integer graph rounds, traced through the functions that a network calls.

The rules are those of ONNX Runtime's static tool. Whether a result is rounded is decided where another function takes it: convolution,
batch normalization and ReLU are one node of the graph, so only what comes out of the ReLU is. Batch normalization need not be folded for
that: it scales each channel of a weight and with it that channel's step, and the integers stay the same. Biases are left as they are,
which the graph rounds to a ten-thousandth.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

STEPS = 255  # of a range of what flows between layers
DUE = "due"  # a result that is rounded before anything takes it
FREE = "free"  # a result that stays float unless a layer, a sum or a product takes it
CONVOLVED = "convolved"  # due, but a batch normalization behind it belongs to it
PROBABLE = "probable"  # due, in the range from 0 to 1
Role = str | int  # one of these, or at which point the values were rounded
Function = Callable[..., Any]


class Rounding(TorchFunctionMode):
    """Within a `with`, rounds weights to `levels` steps on each side of 0 and, if there are ranges, what flows between layers.

    `low`, `high`: ends of the range at each point [points], a point being a tensor that is rounded; their order is that of the calls.
    """

    def __init__(self, levels: int, *, low: Tensor | None = None, high: Tensor | None = None) -> None:
        super().__init__()
        self.levels = levels
        self.wide = levels == 127  # whether the tool's weights have eight bits, or seven
        self.steps: Tensor | None = None
        if low is not None and high is not None:
            low, high = low.clamp(max=0), high.clamp(min=0)
            self.steps = _nonzero((high - low) / STEPS)
            self.zeros = (-low / self.steps).round().int()
        self.extremes: list[tuple[Tensor, Tensor]] = []
        self.learned: dict[int, tuple[Tensor, Tensor]] = {}  # weights as they are, and rounded
        self.roles = WeakTensorKeyDictionary()
        self.after = WeakTensorKeyDictionary()

    def seen(self) -> tuple[Tensor, Tensor]:
        """The lowest and the highest value that came to each point [points]."""
        low, high = zip(*self.extremes, strict=True)
        return torch.stack(low), torch.stack(high)

    def __torch_function__(
        self, function: Function, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        rule = RULES.get(getattr(function, "__name__", ""))
        counts = args and isinstance(args[0], Tensor) and not args[0].is_floating_point()  # as norms do their batches
        if rule is None or counts:
            return function(*args, **kwargs or {})
        return rule(self, function, *args, **kwargs or {})

    def layer(self, function: Function, values: Tensor, weight: Tensor, *others: Any, **settings: Any) -> Tensor:
        """A convolution, or a linear layer over [N, in]: the tool leaves the latter's results as floats."""
        result = function(self.rounded(values), self.weight(weight), *others, **settings)
        return self.named(result, CONVOLVED if function.__name__ == "conv2d" else FREE)

    def linear(self, function: Function, values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """A linear layer; over [N, ..., in] a graph has two nodes for it."""
        if values.ndim == 2:
            return self.layer(function, values, weight, bias)
        product = self.named(torch.matmul(self.rounded(values), self.weight(weight).T), DUE)
        return product if bias is None else self.named(self.rounded(product) + self.rounded(bias), DUE)

    def operands(self, function: Function, *values: Any, **settings: Any) -> Tensor:
        """A sum or a product of tensors, numbers or lists of tensors; never in place, for what is rounded must not change."""
        return self.named(IN_PLACE.get(function.__name__, function)(*map(self.operand, values), **settings), DUE)

    def joined(self, function: Function, values: Sequence[Tensor], *where: Any, **settings: Any) -> Any:
        """Several tensors as one; a graph has no node for one alone."""
        return self.operands(function, values, *where, **settings) if values[1:] else self.moved(torch.clone, values[0])

    def activation(self, function: Function, values: Tensor, *others: Any, **settings: Any) -> Tensor:
        """Takes rounded values and gives values to be rounded."""
        result = function(self.rounded(values), *others, **settings)
        return self.named(result, PROBABLE if function.__name__ == "softmax" else DUE)

    def unknown(self, function: Function, values: Tensor, *others: Any, **settings: Any) -> Tensor:
        """What the tool does not know, and leaves as it is."""
        return self.named(function(self.if_due(values), *others, **settings), FREE)

    def cut(self, function: Function, values: Tensor, *others: Any, **settings: Any) -> Tensor:
        """Ends the range of the node before it, and is part of it."""
        role = self.role(values)
        return self.named(function(values, *others, **settings), FREE if role == FREE else DUE)

    def norm(self, function: Function, *values: Any, weight: Tensor | None = None, **settings: Any) -> Tensor:
        """A batch normalization is part of the convolution before it, where there is one; otherwise its scale is rounded too."""
        if function.__name__ == "batch_norm" and self.role(values[0]) == CONVOLVED:
            return self.cut(function, *values, weight=weight, **settings)
        return self.activation(function, *values, weight=weight if weight is None else self.scale(weight), **settings)

    def moved(self, function: Function, values: Tensor, *others: Any, **settings: Any) -> Any:
        """The same values in other places, or means of neighbours: in the same range."""
        values = self.if_due(values)
        role = self.role(values)
        result = function(values, *others, **settings)
        if not isinstance(result, Tensor):
            return tuple(self.named(part, role) for part in result)
        if isinstance(role, int) and function.__name__ == "avg_pool2d":
            result = self.to_steps(result, role)
        return self.named(result, role)

    def composed(self, function: Function, *values: Any, **settings: Any) -> Tensor:
        """A function for which a graph has several nodes."""
        with self:
            result: Tensor = COMPOSED[function.__name__](*values, **settings)
        return result

    def role(self, values: Any) -> Role:
        found: Role = self.roles.get(values, FREE) if isinstance(values, Tensor) else FREE
        return found

    def named(self, values: Tensor, role: Role) -> Tensor:
        self.roles[values] = role
        return values

    def operand(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self.operand(part) for part in value]
        return self.rounded(value) if isinstance(value, Tensor) else value

    def if_due(self, values: Tensor) -> Tensor:
        return values if self.role(values) == FREE else self.rounded(values)

    def rounded(self, values: Tensor) -> Tensor:
        """`values` in steps of their range: rounded once, however many functions take them."""
        role = self.role(values)
        if isinstance(role, int):
            return values
        if isinstance(values, nn.Parameter):
            return self.constant(values)
        if values not in self.after:
            point = len(self.extremes)
            ends = (values.new_zeros(()), values.new_ones(())) if role == PROBABLE else values.detach().aminmax()
            self.extremes.append((ends[0].float(), ends[1].float()))
            self.after[values] = self.named(self.to_steps(values, point), point)
        result: Tensor = self.after[values]
        return result

    def to_steps(self, values: Tensor, point: int) -> Tensor:
        if self.steps is None:
            return values.view_as(values)
        return torch.fake_quantize_per_tensor_affine(values.float(), self.steps[point], self.zeros[point], 0, STEPS)

    def weight(self, weight: Tensor) -> Tensor:
        """A weight [out, ...] in steps of its own for each of `out`."""
        return self.once(weight, lambda: _channels(weight, self.levels))

    def scale(self, scale: Tensor) -> Tensor:
        """The scale [channels] of a norm, in the same steps for all channels."""
        return self.once(scale, lambda: _channels(scale[None], 127 if self.wide else 64)[0])

    def constant(self, values: Tensor) -> Tensor:
        """What is learned and added or multiplied, between its own ends."""
        return self.once(values, lambda: _between(values, STEPS if self.wide else STEPS // 2))

    def once(self, learned: Tensor, rounded: Callable[[], Tensor]) -> Tensor:
        if id(learned) not in self.learned:
            self.learned[id(learned)] = (learned, rounded())
        return self.learned[id(learned)][1]


def _channels(weight: Tensor, levels: int) -> Tensor:
    steps = _nonzero(weight.detach().flatten(1).abs().amax(1) / levels)
    zeros = torch.zeros_like(steps, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, steps, zeros, 0, -levels, levels)


def _between(values: Tensor, count: int) -> Tensor:
    low, high = values.detach().amin().clamp(max=0), values.detach().amax().clamp(min=0)
    step = _nonzero((high - low) / count)
    return torch.fake_quantize_per_tensor_affine(values, step, (-low / step).round().int(), 0, count)


def _nonzero(steps: Tensor) -> Tensor:
    return torch.where(steps < torch.finfo(steps.dtype).tiny, 1.0, steps)


def _silu(values: Tensor, inplace: bool = False) -> Tensor:
    return values * torch.sigmoid(values)


def _attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    attn_mask: Tensor | None = None,
    *,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """As it is exported: queries and keys each times the root of the scale."""
    assert not is_causal, "no image has a past"
    root = math.sqrt(scale if scale is not None else queries.shape[-1] ** -0.5)
    likeness = torch.matmul(queries * root, (keys * root).transpose(-2, -1))
    if attn_mask is not None:
        likeness = likeness + attn_mask
    return torch.matmul(F.dropout(torch.softmax(likeness, -1), dropout_p), values)


COMPOSED: dict[str, Function] = {"silu": _silu, "scaled_dot_product_attention": _attention}
IN_PLACE: dict[str, Function] = {"add_": torch.add, "__iadd__": torch.add, "mul_": torch.mul, "__imul__": torch.mul}
NAMES: dict[Function, str] = {  # under which networks call what follows a rule; all else passes
    Rounding.layer: "conv2d",
    Rounding.linear: "linear",
    Rounding.operands: "add __add__ __radd__ mul __mul__ __rmul__ matmul __matmul__ bmm " + " ".join(IN_PLACE),
    Rounding.joined: "cat concat",
    Rounding.activation: "sigmoid softmax leaky_relu",
    Rounding.unknown: "tanh gelu mean amax adaptive_avg_pool2d hardswish hardsigmoid elu selu mish softplus div sub exp pow sum",
    Rounding.cut: "relu relu_ relu6 hardtanh clamp",
    Rounding.norm: "batch_norm layer_norm",
    Rounding.moved: "flatten reshape view permute transpose unflatten squeeze unsqueeze contiguous expand __getitem__ chunk split "
    "unbind pad dropout max_pool2d avg_pool2d",
    Rounding.composed: " ".join(COMPOSED),
}
RULES: dict[str, Function] = {name: rule for rule, names in NAMES.items() for name in names.split()}
