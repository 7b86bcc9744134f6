"""Depth of a network: its parameters from the first layer to the head, whose input is what the backbone has found."""

from collections.abc import Iterator

from timm.models._manipulate import group_with_matcher
from torch import nn


def head(network: nn.Module) -> str:
    """The name of the head: that of `blocks.network.Network`, timm's classifier, or else the last linear layer."""
    modules = dict(network.named_modules())
    if "head" in modules and isinstance(getattr(network, "features", None), nn.Module):
        return "head"
    for module in modules.values():
        if hasattr(module, "get_classifier"):
            classifier = module.get_classifier()
            return next(name for name, each in modules.items() if each is classifier)
    linear = [name for name, each in modules.items() if isinstance(each, nn.Linear)]
    return linear[-1] if linear else ""


def layers(network: nn.Module) -> list[list[str]]:
    """Names of the parameters, layer by layer; the last entry is the head's. What has only norms and biases belongs to the layer before."""
    last = head(network)
    named = dict(network.named_parameters())
    own = [name for name in named if last and name.startswith(f"{last}.")]
    found: list[list[str]] = []
    for group in _groups(network):
        names = [name for name in group if name in named and name not in own]
        if names and (not found or any(named[name].ndim > 1 for name in names)):
            found.append(names)
        elif names:
            found[-1] += names
    return [*found, own]


def scales(network: nn.Module, *, decay: float) -> dict[str, float]:
    """By parameter, the factor of its learning rate: 1 in the head, `decay` times less in each layer before."""
    found = layers(network)
    return {name: decay ** (len(found) - 1 - depth) for depth, names in enumerate(found) for name in names}


def _groups(network: nn.Module) -> Iterator[list[str]]:
    """Parameters in the groups that timm sees in its networks, elsewhere in those of the layers and blocks of plain sequences."""
    for prefix, module in network.named_modules():
        if hasattr(module, "group_matcher"):
            for names in group_with_matcher(module.named_parameters(), module.group_matcher()).values():
                yield [f"{prefix}.{name}" if prefix else name for name in names]
            return
    yield from _unrolled(network, "")


def _unrolled(module: nn.Module, prefix: str) -> Iterator[list[str]]:
    """The parameters of each layer or block of `module`, a network or a plain sequence, however deep."""
    own = [f"{prefix}{name}" for name, _ in module.named_parameters(recurse=False)]
    if own:
        yield own
    for name, child in module.named_children():
        if type(child) in (nn.Sequential, nn.ModuleList):
            yield from _unrolled(child, f"{prefix}{name}.")
        else:
            yield [f"{prefix}{name}.{each}" for each, _ in child.named_parameters()]
