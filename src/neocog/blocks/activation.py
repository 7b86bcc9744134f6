"""The nonlinearity between layers."""

from torch import nn

from neocog.blocks.exchange import exchange

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "tanh": nn.Tanh,
}


def apply(model: nn.Module, choice: str) -> int:
    """Exchange the activations in `model`; how many there were. Gates (sigmoids) stay: they are not there to be nonlinear."""
    return exchange(model, (*ACTIVATIONS.values(), nn.ReLU6, nn.Mish), lambda _: ACTIVATIONS[choice]())
