"""Channel groups, pruned together, by torch-pruning's dependency graph over this project's networks.

Three questions kept apart: which channels belong together (`groups`), which matter (scores [n] of each group, from outside),
when to cut (`remove`).
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch_pruning as tp
from timm.layers import Attention
from timm.models.maxxvit import Attention2d
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.shufflenetv2 import InvertedResidual as ShuffleUnit

from neocog.architectures.blocks.norm import ChannelBias
from neocog.data.prepared import Prepared

ALWAYS = 0.1  # of a layer's channels, which a global ranking leaves however little they matter
WEIGHTED = (nn.Conv2d, nn.Linear)


class AttentionWidth(tp.BasePruningFunc):
    """Narrows what goes into an attention layer and comes out of it; its heads stay as they are, since their width is written
    into its views."""

    def prune_in_channels(self, layer: Any, idxs: Sequence[int]) -> Any:
        getattr(tp, f"prune_{_kind(layer.qkv)}_in_channels")(layer.qkv, idxs)
        return layer

    def prune_out_channels(self, layer: Any, idxs: Sequence[int]) -> Any:
        getattr(tp, f"prune_{_kind(layer.proj)}_out_channels")(layer.proj, idxs)
        return layer

    def get_in_channels(self, layer: Any) -> int:
        return int(layer.qkv.weight.shape[1])

    def get_out_channels(self, layer: Any) -> int:
        return int(layer.proj.weight.shape[0])


class BiasWidth(tp.BasePruningFunc):
    """Takes channels from a bias that stands in the place of a normalization."""

    def prune_out_channels(self, layer: Any, idxs: Sequence[int]) -> Any:
        kept = sorted({*range(len(layer.bias))} - {*idxs})
        layer.bias = self._prune_parameter_and_grad(layer.bias, kept, 0)
        return layer

    prune_in_channels = prune_out_channels

    def get_out_channels(self, layer: Any) -> int:
        return len(layer.bias)

    get_in_channels = get_out_channels


PRUNERS = {
    Attention: AttentionWidth(),
    Attention2d: AttentionWidth(),
    ChannelBias: BiasWidth(),
    nn.InstanceNorm2d: tp.pruner.function.InstanceNormPruner(),
}


def example(data: Prepared) -> Tensor:
    """Two images [2, C, S, S] of the prepared size, to follow through a network."""
    return torch.zeros(2, data.channels, *data.size)


def macs(network: nn.Module, images: Tensor) -> int:
    """Multiply-accumulates of one of `images`."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    return counter.get_total_flops() // 2 // len(images)


def groups(network: nn.Module, images: Tensor) -> list[tp.Group]:
    """The groups of channels that can be removed, in an order that depends on the network alone.

    Left alone are the classes, the heads of attention, the halves that ShuffleNet's units split, join and shuffle (they must stay
    equally wide), and maps that reach a group normalization joined with others: the borders of its groups would shift.
    """
    with warnings.catch_warnings(), _instances_as_one(network):
        warnings.simplefilter("ignore")
        graph = tp.DependencyGraph().build_dependency(network, images, customized_pruners=PRUNERS)
        alone = [_last(network, images)]
        for unit in network.modules():
            if isinstance(unit, ShuffleUnit):
                alone += [unit.branch2[5], *unit.branch1[2:3]]
        found = graph.get_all_groups(ignored_layers=alone, root_module_types=list(WEIGHTED))
        return [group for group in found if not _joined_before_norm(group)]


def width(network: nn.Module, images: Tensor) -> int:
    """How many channels there are in all `groups`."""
    return sum(len(group[0].idxs) for group in groups(network, images))


def remove(
    network: nn.Module,
    images: Tensor,
    scores: Sequence[Tensor | None],
    *,
    share: float,
    scope: Literal["layer", "global"],
    round_to: int,
) -> None:
    """Remove, in place, the `share` of channels with the least `scores`, one tensor for each of `groups`; a group without scores stays.

    Of each group a channel is left, or one a run where it comes in runs; a `global` ranking leaves a tenth.
    """
    found = [(group, score) for group, score in zip(groups(network, images), scores, strict=True) if score is not None]
    ranked = [score.view(_runs(group), -1).mean(0) for group, score in found]
    doomed = [round(share * len(rank)) for rank in ranked]
    if scope == "global":
        weights = torch.cat(
            [torch.full_like(rank, _runs(group)) for (group, _), rank in zip(found, ranked, strict=True)]
        )
        owners = torch.cat([torch.full_like(rank, number) for number, rank in enumerate(ranked)])
        order = torch.cat(ranked).argsort(stable=True)
        least = order[weights[order].cumsum(0) <= share * weights.sum()]
        doomed = [int((owners[least] == number).sum()) for number in range(len(ranked))]
    always = ALWAYS if scope == "global" else 0.0
    for (group, _), rank, many in zip(found, ranked, doomed, strict=True):
        step = math.lcm(round_to, _runs(group)) // _runs(group)
        kept = math.ceil(max(len(rank) - many, always * len(rank), 1) / step) * step
        gone = rank.argsort()[: max(0, len(rank) - kept)]
        if len(gone):
            group.prune([int(channel) + run * len(rank) for run in range(_runs(group)) for channel in gone])
    network.zero_grad(set_to_none=True)


@contextmanager
def _instances_as_one(network: nn.Module) -> Iterator[None]:
    """Instance normalization as one step, for the graph: PyTorch makes it of several, with images and channels as one axis in between."""
    norms = [module for module in network.modules() if isinstance(module, nn.InstanceNorm2d)]
    for norm in norms:
        norm.forward = torch.clone  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _joined_before_norm(group: tp.Group) -> bool:
    """Whether a normalization by several groups sees other channels beside those of `group`."""
    norms = [module for dependency, _ in group if isinstance(module := dependency.target.module, nn.GroupNorm)]
    return any(norm.num_groups > 1 and norm.num_channels != len(group[0].idxs) for norm in norms)


def _kind(layer: nn.Module) -> str:
    return "linear" if isinstance(layer, nn.Linear) else "conv"


def _runs(group: tp.Group) -> int:
    """Into how many runs of equal length the channels are divided, by group normalization or grouped convolution: each run loses
    the same."""
    modules = [dependency.target.module for dependency, _ in group]
    norms = [module.num_groups for module in modules if isinstance(module, nn.GroupNorm)]
    grouped = [
        m.groups for m in modules if isinstance(m, nn.Conv2d) and m.groups not in (m.in_channels, m.out_channels)
    ]
    return max([1, *norms, *grouped])


def _last(network: nn.Module, images: Tensor) -> nn.Module:
    """The layer whose outputs are the logits: the last one called."""
    called: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: called.append(module))
        for module in network.modules()
        if isinstance(module, WEIGHTED)
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return called[-1]
