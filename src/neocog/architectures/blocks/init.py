"""Weight initialization.

kaiming: He et al. 2015, arXiv:1502.01852 (for ReLU, by fan out); xavier: Glorot & Bengio 2010; lecun: LeCun et al. 1998, Efficient
BackProp; orthogonal: Saxe et al. 2014, arXiv:1312.6120.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

INITS: dict[str, Callable[[Any], Any]] = {
    "kaiming_normal": partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, mode="fan_out", nonlinearity="relu"),
    "xavier_normal": nn.init.xavier_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
    "lecun_normal": partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
}


def apply(model: nn.Module, choice: str) -> int:
    """Draw the weights of the convolutions and linear layers in `model` anew, their biases to 0; how many layers there are."""
    found = [each for each in model.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    for layer in found:
        INITS[choice](layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return len(found)
