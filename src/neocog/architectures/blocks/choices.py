"""What params may choose for each kind of block. No torch here: params are checked with it."""

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
