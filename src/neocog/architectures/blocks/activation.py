"""Activation functions."""

from torch import nn

from neocog.architectures.blocks.network import exchange

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
    """Exchange the activations in `model`, of timm's classes too; how many there were.

    Gates (sigmoids) stay: they are not there to be nonlinear.
    """
    theirs = {type(module) for module in model.modules() if type(module).__module__ == "timm.layers.activations"}
    named = {kind.__name__.lower() for kind in (*ACTIVATIONS.values(), nn.ReLU6, nn.Mish)} | {"swish"}
    kinds = (*ACTIVATIONS.values(), nn.ReLU6, nn.Mish, *(kind for kind in theirs if kind.__name__.lower() in named))
    return exchange(model, kinds, lambda _: ACTIVATIONS[choice]())
