"""Accuracy of a network under each change. What lies before the changed layers is calculated once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from neocog.architectures.blocks.network import Network
from neocog.bundle.read import Bundle
from neocog.bundle.rebuild import rebuild
from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.core.progress import watched
from neocog.data.augment import normalize
from neocog.data.prepared import Prepared
from neocog.inspect.sensitivity.changes import Change, Kind, changes

BATCH = 256
HELD = 2**30  # bytes of maps between two parts of the network that may be kept


@dataclass(frozen=True)
class Tried:
    """One change and the top-1 that it leaves."""

    kind: Kind
    layers: tuple[str, ...]
    amount: float
    top1: float


@dataclass(frozen=True)
class Sensitivity:
    """The model as it is, `top1` on so many validation `images`, and each change `tried`, in the order of the layers."""

    model: str
    architecture: str
    images: int
    top1: float
    tried: tuple[Tried, ...]

    def drop(self, tried: Tried) -> float:
        """How much top-1 the change costs, a fraction; below 0 where it helps."""
        return self.top1 - tried.top1

    def of(self, kind: Kind) -> list[Tried]:
        return [each for each in self.tried if each.kind == kind]


def measure(bundle: Bundle, data: Prepared, *, images: int) -> Sensitivity:
    """Try every change of the float network of `bundle` on the first `images` of the val split, which stand in the order of their hashes.

    Raises UserError for a network without layers to change.
    """
    network = rebuild(bundle).to(memory_format=torch.channels_last)
    wanted = changes(network, data)
    if not wanted:
        raise UserError(
            f"{bundle.folder}: {bundle.architecture} has neither convolutions nor linear layers to change; name another model"
        )
    val = data.split("val", limit=images)
    mean, std = (torch.tensor(each) * 255 for each in (data.mean, data.std))
    labels = torch.from_numpy(val.targets)
    batches = [
        normalize(torch.from_numpy(val.images[start : start + BATCH].copy()), mean=mean, std=std)
        for start in range(0, len(labels), BATCH)
    ]
    found = {}
    for number, top1 in watched(_tried(network, wanted, batches, labels), total=len(wanted) + 1, what="variants"):
        found[number] = top1
    told = tuple(Tried(each.kind, each.layers, each.amount, found[i]) for i, each in enumerate(wanted))
    return Sensitivity(bundle.model, bundle.architecture, len(labels), found[-1], told)


def write_csv(path: Path, found: Sensitivity) -> None:
    """A line a change: what was changed, by how much, and top-1 with and without."""
    lines = []
    for each in found.tried:
        first, *others = each.layers
        drop = round(found.drop(each), 6)
        lines.append((each.kind, each.amount, first, " ".join(others), round(each.top1, 6), drop, found.images))
    csv_table.write(path, ("change", "amount", "layer", "with_it", "top1", "drop", "images"), lines)


def parts(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules whose composition is `network`, with their names; the network itself, named "", where it is not built of such."""
    if type(network) is Network and type(network.features) is nn.Sequential:
        return [
            *((f"features.{name}", part) for name, part in network.features.named_children()),
            ("head", network.head),
        ]
    return [("", network)]


def _tried(
    network: nn.Module, wanted: Sequence[Change], batches: list[Tensor], labels: Tensor
) -> Iterator[tuple[int, float]]:
    """(place in `wanted`, top-1) of each change, those of the first layers first; -1 is the network as it is."""
    yield -1, _top1(network, 0, batches, labels)
    names, at = [name for name, _ in parts(network)], 0
    for number, first in sorted(((i, _first(each, names)) for i, each in enumerate(wanted)), key=lambda pair: pair[1]):
        if first > at and _run(network, at, first, batches[0]).nbytes * len(batches) <= HELD:
            batches = [_run(network, at, first, batch) for batch in batches]
            at = first
        yield number, _top1(wanted[number].network(), at, batches, labels)


def _first(change: Change, names: Sequence[str]) -> int:
    """The first of the network's parts that the change touches."""
    return min(
        i for i, name in enumerate(names) for each in change.touched if not name or f"{each}.".startswith(f"{name}.")
    )


@torch.inference_mode()
def _run(network: nn.Module, start: int, stop: int | None, maps: Tensor) -> Tensor:
    for _, part in parts(network)[start:stop]:
        maps = part(maps)
    return maps


def _top1(network: nn.Module, start: int, batches: Sequence[Tensor], labels: Tensor) -> float:
    network = network.to(memory_format=torch.channels_last)
    answers = torch.cat([_run(network, start, None, batch).argmax(1) for batch in batches])
    return int((answers == labels).sum()) / len(labels)
