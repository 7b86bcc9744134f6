"""Building blocks that every architecture is made of, and that params may exchange: `norm: group` in an architecture's block.

One file a key (`norm`, `activation`, `pooling`, `global_pooling`, `padding`, `init`), each with `apply(model, choice)`, which exchanges
in place what the network has of that kind. An architecture's `BLOCKS` names the keys that make sense for it. No torch is imported here:
params are checked with `CHOICES`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

CHOICES: dict[str, Any] = {
    "norm": Literal["batch", "layer", "instance", "group", "none"],
    "activation": Literal["relu", "leaky_relu", "elu", "gelu", "silu", "hardswish", "tanh"],
    "pooling": Literal["max", "average", "stochastic"],
    "global_pooling": Literal["average", "max"],
    "padding": Literal["zeros", "reflect", "replicate", "circular"],
    "init": Literal[
        "kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform", "lecun_normal", "orthogonal"
    ],
}


def exchange(model: "nn.Module", kinds: "tuple[type[nn.Module], ...]", make: "Callable[[nn.Module], nn.Module]") -> int:
    """Replace every module of `kinds` inside `model` by `make(module)`; return how many there were."""
    found = [(name, module) for name, module in model.named_modules() if name and type(module) in kinds]
    for name, module in found:
        model.set_submodule(name, make(module))
    return len(found)
