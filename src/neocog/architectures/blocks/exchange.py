"""Exchange modules inside a network."""

from collections.abc import Callable

from torch import nn


def exchange(model: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[nn.Module], nn.Module]) -> int:
    """Put `make(module)` in the place of every module of `kinds` inside `model`; how many there were."""
    found = [(name, module) for name, module in model.named_modules() if name and type(module) in kinds]
    for name, module in found:
        model.set_submodule(name, make(module))
    return len(found)
