"""Building blocks that every architecture is made of, and that params may exchange: `norm: group` in an architecture's block.

One file a key (`norm`, `activation`, `pooling`, `global_pooling`, `padding`, `init`), each with `apply(model, choice)`, which exchanges
in place what the network has of that kind. An architecture's `BLOCKS` names the keys that make sense for it. No torch is imported here:
params are checked with `CHOICES`.
"""

from typing import Any, Literal

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
