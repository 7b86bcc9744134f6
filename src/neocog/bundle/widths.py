"""Narrow layers: a pruned network rebuilt from plain values, without pickle and without a pruning library.

A pruned network is the network that its architecture builds, with other widths. The widths of its tensors stand in the safetensors file
already; what is left to remember are the numbers that modules keep of them (`out_channels`, `num_features`, `groups`, ...): JSON.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

Widths = dict[str, dict[str, Any]]


def widths(network: nn.Module, *, built: nn.Module) -> Widths:
    """The plain numbers in which each module of `network` differs from the same module of `built`: {module: {attribute: value}}."""
    fresh = dict(built.named_modules())
    found: Widths = {}
    for name, module in network.named_modules():
        before = _numbers(fresh[name])
        changed = {key: value for key, value in _numbers(module).items() if value != before.get(key)}
        if changed:
            found[name] = changed
    return found


def narrow(built: nn.Module, changed: Mapping[str, Mapping[str, Any]], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Give `built`, in place, the `widths` of another network, and room for its `tensors` (a state dict)."""
    if not changed:
        return built
    for name, values in changed.items():
        module = built.get_submodule(name)
        for key, value in values.items():
            setattr(module, key, tuple(value) if isinstance(value, list) else value)
    for name, tensor in built.state_dict().items():
        if name in tensors and tensors[name].shape != tensor.shape:
            owner, _, last = name.rpartition(".")
            module, room = built.get_submodule(owner), tensors[name].new_empty(tensors[name].shape)
            old = getattr(module, last)
            if isinstance(old, nn.Parameter):
                room = nn.Parameter(room, requires_grad=old.requires_grad)
            setattr(module, last, room)
    return built


def _numbers(module: nn.Module) -> dict[str, Any]:
    """Whole numbers and tuples of them that a module keeps, but not whether it trains."""
    return {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (
            (isinstance(value, int) and not isinstance(value, bool))
            or (isinstance(value, tuple) and value and all(type(part) is int for part in value))
        )
    }
