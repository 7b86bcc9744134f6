"""Accuracy of a network under each change. What lies before the changed layers is calculated once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
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
from neocog.tasks import task as tasks
from neocog.tasks.task import Metric

BATCH = 256
Score = Callable[[np.ndarray], float]  # of the outputs [N, ...] for the validation images
HELD = 2**30  # bytes of maps between two parts of the network that may be kept


@dataclass(frozen=True)
class Tried:
    """One change and the score that it leaves, by the primary metric of the task."""

    kind: Kind
    layers: tuple[str, ...]
    amount: float
    score: float


@dataclass(frozen=True)
class Sensitivity:
    """The model as it is, with its `score` by `metric` on so many validation `images`, and each change `tried`, layer by layer."""

    model: str
    architecture: str
    images: int
    metric: Metric
    score: float
    tried: tuple[Tried, ...]

    def drop(self, tried: Tried) -> float:
        """How much the change costs; below 0 where it helps."""
        return self.metric.better * (self.score - tried.score)

    def of(self, kind: Kind) -> list[Tried]:
        return [each for each in self.tried if each.kind == kind]


def measure(bundle: Bundle, data: Prepared, *, images: int) -> Sensitivity:
    """Try every change of the float network of `bundle` on the first `images` of the val split, which stand in the order of their hashes.

    Raises UserError for a network without layers to change.
    """
    data = data.normalized(bundle.normalization)
    network = rebuild(bundle).to(memory_format=torch.channels_last)
    wanted = changes(network, data)
    if not wanted:
        raise UserError(
            f"{bundle.folder}: {bundle.architecture} has neither convolutions nor linear layers to change; name another model"
        )
    val = data.split("val", limit=images)
    mean, std = (torch.tensor(each) * 255 for each in (data.mean, data.std))
    task = tasks.task(bundle.task)
    score = partial(task.metrics.primary, targets=val.targets)
    batches = [
        normalize(torch.from_numpy(val.images[start : start + BATCH].copy()), mean=mean, std=std)
        for start in range(0, len(val.targets), BATCH)
    ]
    found = {}
    for number, value in watched(_tried(network, wanted, batches, score), total=len(wanted) + 1, what="variants"):
        found[number] = value
    measured = tuple(Tried(each.kind, each.layers, each.amount, found[i]) for i, each in enumerate(wanted))
    return Sensitivity(bundle.model, bundle.architecture, len(val.targets), task.primary, found[-1], measured)


def write_csv(path: Path, found: Sensitivity) -> None:
    """A line a change: what was changed, by how much, and the score with and without."""
    lines = []
    for each in found.tried:
        first, *others = each.layers
        drop = round(found.drop(each), 6)
        lines.append((each.kind, each.amount, first, " ".join(others), round(each.score, 6), drop, found.images))
    csv_table.write(path, ("change", "amount", "layer", "with_it", found.metric.name, "drop", "images"), lines)


def parts(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules whose composition is `network`, with their names; the network itself, named "", where it is not built of such."""
    if type(network) is Network and type(network.features) is nn.Sequential:
        return [
            *((f"features.{name}", part) for name, part in network.features.named_children()),
            ("head", network.head),
        ]
    return [("", network)]


def _tried(
    network: nn.Module, wanted: Sequence[Change], batches: list[Tensor], score: Score
) -> Iterator[tuple[int, float]]:
    """(place in `wanted`, score) of each change, those of the first layers first; -1 is the network as it is."""
    yield -1, _score(network, 0, batches, score)
    names, at = [name for name, _ in parts(network)], 0
    for number, first in sorted(((i, _first(each, names)) for i, each in enumerate(wanted)), key=lambda pair: pair[1]):
        if first > at and _run(network, at, first, batches[0]).nbytes * len(batches) <= HELD:
            batches = [_run(network, at, first, batch) for batch in batches]
            at = first
        yield number, _score(wanted[number].network(), at, batches, score)


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


def _score(network: nn.Module, start: int, batches: Sequence[Tensor], score: Score) -> float:
    network = network.to(memory_format=torch.channels_last)
    return score(torch.cat([_run(network, start, None, batch) for batch in batches]).numpy())
