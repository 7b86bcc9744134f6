"""Recorder of every operator that a network calls: in which module, and what it makes of the image."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from neocog.core.errors import UserError
from neocog.inspect.shapes.fit import Window, extent, looked_at, output_size
from neocog.inspect.shapes.operators import Call, sights, tensors
from neocog.inspect.shapes.receptive_field import Sight, of_image


class TooSmall(UserError):
    """The image is too small for the network: the message names the layer and what arrives there."""


@dataclass(frozen=True)
class Slid:
    """What slid over the rows and columns of a tensor: their `sizes` and `jump`, and those `looked_at` by this or another layer."""

    windows: list[Window]
    sizes: tuple[int, ...]
    jump: tuple[int, int]
    looked_at: list[set[int]]


@dataclass
class ModuleCost:
    """What a module computes itself, until the next module in it is called. `whole`: it calls none."""

    name: str
    module: str
    whole: bool = True
    operators: list[str] = field(default_factory=list)
    input: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    sight: Sight | None = None
    slid: Slid | None = None
    params: int = 0
    macs: int = 0
    bytes: int = 0


class Recorder(TorchDispatchMode):
    """While it is active, what is computed from `image` [1, C, H, W] is collected in `parts`; `enter` and `leave` say by which module."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.parts: list[ModuleCost] = []
        self._working: list[ModuleCost] = []  # of the modules inside each other, the innermost last
        self._counted: set[int] = set()
        self._looked_at = WeakTensorKeyDictionary()
        self._known = WeakTensorKeyDictionary()
        self._known[image] = of_image((image.shape[-2], image.shape[-1]))

    @property
    def layer(self) -> str:
        """The module at work, as an error names it."""
        part = self._working[-1]
        return f"{part.name} ({part.module})" if part.name else part.module

    def enter(self, name: str, module: nn.Module) -> None:
        """`module` begins."""
        if self._working:
            self._working[-1].whole = False
            self._close()
        self._working.append(ModuleCost(name, type(module).__name__))

    def leave(self) -> None:
        """The innermost module ends."""
        self._close()
        part = self._working.pop()
        if self._working:  # what it made of parameters alone counts where that meets the image
            self._working[-1].params += part.params

    def _close(self) -> None:
        """End the innermost part. What a module does only in place, or by views, between others in it is not worth a line."""
        part = self._working[-1]
        if part.sight is not None:
            if part.whole or part.bytes or part.macs or part.params:
                self.parts.append(part)
            self._working[-1] = ModuleCost(part.name, part.module, part.whole)

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        call, part = Call(func, args, kwargs or {}), self._working[-1]
        for tensor in call.tensors:
            if isinstance(tensor, nn.Parameter) and id(tensor) not in self._counted:
                self._counted.add(id(tensor))
                part.params += tensor.numel()
        known = [tensor for tensor in call.tensors if tensor in self._known]
        slides = len(call.windows) == 2 and bool(known) and known[0] is args[0]
        if slides:
            self._check(call)
        result = func(*args, **call.kwargs)
        outputs = tensors(result if isinstance(result, list | tuple) else [result])
        if known and outputs:
            part.slid = self._slide(call) if slides else part.slid
            self._look(known[slides:], outputs)
            self._note(part, call, known, outputs)
        return result

    def _check(self, call: Call) -> None:
        """Raise TooSmall if a filter does not fit, before PyTorch says so in its own words."""
        sizes = call.args[0].shape[-2:]
        if not all(output_size(n, **vars(window)) for n, window in zip(sizes, call.windows, strict=True)):
            wide = " x ".join(str(extent(window.filter, window.dilation)) for window in call.windows)
            border = max(window.padding for window in call.windows)
            raise TooSmall(
                f"{self.layer} gets {sizes[0]} x {sizes[1]} pixels, fewer than its filter of {wide} needs"
                + (f" even with its padding of {border}" if border else "")
            )

    def _slide(self, call: Call) -> Slid:
        """Mark the rows and columns of the first argument that the windows of the call look at."""
        tensor, sight = call.args[0], self._known[call.args[0]]
        seen = self._looked_at.setdefault(tensor, [set(), set()])
        for axis, (n, window) in enumerate(zip(tensor.shape[-2:], call.windows, strict=True)):
            seen[axis] |= looked_at(n, **vars(window))
        return Slid(call.windows, tuple(tensor.shape[-2:]), sight.jump, seen)

    def _look(self, known: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Any other operator looks at all; unless it works in place, when its output is what will be looked at."""
        for tensor in known:
            if tensor.ndim > 1 and not any(output is tensor for output in outputs):
                seen = self._looked_at.setdefault(tensor, [set(), set()])
                for axis, n in enumerate(tensor.shape[-2:]):
                    seen[axis] |= set(range(n))

    def _note(self, part: ModuleCost, call: Call, known: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Add what the call does to the present part."""
        seen = sights(call, outputs, self._known.get)
        for place, output in enumerate(outputs):
            self._known[output] = seen[place if len(seen) > 1 else 0]
        part.operators += [] if call.moves else [call.name]
        part.input = part.input or tuple(known[0].shape[1:])
        part.output, part.sight = tuple(outputs[0].shape[1:]), seen[0]
        part.macs += call.macs(outputs[0])
        memory = {tensor.untyped_storage()._cdata for tensor in call.tensors}
        if (
            outputs[0].untyped_storage()._cdata not in memory
        ):  # what it returns beside, statistics and places, is not kept
            part.bytes += 4 * outputs[0].numel()
