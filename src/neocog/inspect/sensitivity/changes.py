"""Changed networks to measure: one group of layers narrowed, or one layer's weights rounded, everything else as it is.

Narrowing is what `prune_structured` does, by magnitude; rounding is that of `quantize_static`: symmetric, a scale for each output channel.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch_pruning as tp
from torch import Tensor, nn

from neocog.compression.chain import channels
from neocog.data.prepared import Prepared

RATIOS = (0.25, 0.5, 0.75)  # of a group's channels, removed
BITS = (8, 4, 3, 2)  # of a layer's weights
Kind = Literal["ratio", "bits"]


@dataclass(frozen=True)
class Change:
    """What happens to `layers`, named as in the network: a `ratio` of their channels goes, or their weights keep so many `bits`."""

    kind: Kind
    layers: tuple[str, ...]
    amount: float
    touched: frozenset[str]  # every module that it changes
    network: Callable[[], nn.Module]  # makes the changed network


def changes(network: nn.Module, data: Prepared) -> list[Change]:
    """Every change, in the order of the layers. Groups of channels that must go together are one."""
    return [*_narrowed(network, data), *_rounded(network)]


def rounded(weight: Tensor, *, bits: int) -> Tensor:
    """`weight` [out, ...] in 2^bits - 1 evenly spaced values around 0, as far apart as the largest of each output channel demands."""
    levels = 2 ** (bits - 1) - 1
    largest = weight.abs().flatten(1).amax(1).view(-1, *[1] * (weight.ndim - 1))
    scale = largest.clamp(min=1e-12) / levels
    return (weight / scale).round() * scale


def _narrowed(network: nn.Module, data: Prepared) -> list[Change]:
    example, judge = channels.example(data), tp.importance.GroupMagnitudeImportance()
    names = {id(module): name for name, module in network.named_modules()}
    order = list(names.values())
    groups = channels.groups(network, example)
    scores = [judge(group) for group in groups]
    found = []
    for number, group in enumerate(groups):
        if scores[number] is None:
            continue
        alone = [score if i == number else None for i, score in enumerate(scores)]
        members = [(dependency, dependency.target.module) for dependency, _ in group]
        touched = frozenset(names[id(module)] for _, module in members if id(module) in names)
        roots = {
            names[id(module)]
            for dependency, module in members
            if isinstance(module, channels.WEIGHTED) and dependency.handler.__name__ == "prune_out_channels"
        }
        for ratio in RATIOS:
            make = partial(_without, network, example, alone, share=ratio)
            found.append(Change("ratio", tuple(sorted(roots, key=order.index)), ratio, touched, make))
    return sorted(found, key=lambda change: order.index(change.layers[0]))


def _rounded(network: nn.Module) -> list[Change]:
    layers = [name for name, module in network.named_modules() if isinstance(module, channels.WEIGHTED)]
    return [
        Change("bits", (name,), bits, frozenset([name]), partial(_coarse, network, name, bits=bits))
        for name in layers
        for bits in BITS
    ]


def _without(network: nn.Module, example: Tensor, scores: list[Tensor | None], *, share: float) -> nn.Module:
    changed = copy.deepcopy(network)
    channels.remove(changed, example, scores, share=share, scope="layer", round_to=1)
    return changed


def _coarse(network: nn.Module, name: str, *, bits: int) -> nn.Module:
    changed = copy.deepcopy(network)
    layer = changed.get_submodule(name)
    layer.weight.data = rounded(layer.weight.data, bits=bits)  # type: ignore[arg-type]
    return changed
