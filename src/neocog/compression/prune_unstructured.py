"""Unstructured pruning: single weights become zero, wherever they matter least.

Han, S., Pool, J., Tran, J. & Dally, W. (2015). Learning both weights and connections for efficient neural networks. NIPS. arXiv:1506.02626.

The smallest weights go, ranked over the whole network (`global`) or within each layer (`layer`); `2:4` and its kin keep the largest two of
every four inputs in a row (Mishra et al. 2021, arXiv:2104.08378). In `rounds`, the share of zeros follows the cubic of Zhu & Gupta (2017,
arXiv:1710.01878): fast while there is much to choose from, slow at the end. With `rewind` what is left goes back to its values before the
first training after every round (Frankle & Carbin 2019, arXiv:1803.03635): the lottery ticket, which wants a whole training a round.
Zeros survive later trainings. The weights file holds one bit for each; the graph holds them like other numbers, and a processor
multiplies by them all the same.
"""

from typing import Annotated, Literal

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn

from neocog import architectures
from neocog.compression.chain.candidate import Candidate
from neocog.compression.chain.finetune import Train
from neocog.core.constrained_types import AtLeast1
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared

IDEA = "Sets the smallest weights to zero"
COST = "Accuracy, the more the more weights go; no time is gained, since dense multiplication takes as long with zeros"
SUGGESTED = {"sparsity": 0.8, "rounds": 3, "train": {"epochs": 2, "lr": 0.05}}
PAPER = "Han et al. 2015, arXiv:1506.02626"
ON = "network"
TRAINS = "may"
REFUSES = {"svm": "a weight there is a pixel of a landmark, not a connection"}


def apply(
    candidate: Candidate,
    data: Prepared,
    *,
    train: Train | None = None,
    sparsity: Annotated[float, Gt(0), Lt(1)] = 0.8,
    pattern: Literal["global", "layer", "1:4", "2:4", "4:8"] = "global",
    rounds: AtLeast1 = 1,
    rewind: bool = False,
) -> Candidate:
    """Set weights of convolutions and linear layers to 0: the share `sparsity`, or as many as a `pattern` such as 2:4 says instead."""
    del data
    first = _first(candidate) if rewind else None
    for number in range(1, rounds + 1):
        network = candidate.copied()
        share = sparsity * (1 - (1 - number / rounds) ** 3)
        if ":" in pattern:
            keep, of = map(int, pattern.split(":"))
            largest = of - (of - keep) * number // rounds
            for weight in _weights(network):
                weight.data = n_of_m(weight.data, keep=largest, of=of)
        else:
            _smallest_to_zero(_weights(network), share=share, together=pattern == "global")
        if first is not None:
            for weight, value in zip(_weights(network), _weights(first), strict=True):
                weight.data = torch.where(weight.data == 0, 0.0, value.data)
        candidate = candidate.changed(network, sparse=True)
        candidate = train(candidate) if train else candidate
    return candidate


def n_of_m(weight: Tensor, *, keep: int, of: int) -> Tensor:
    """`weight` [out, in, ...] with 0 in the place of all but the `keep` largest of every `of` inputs in a row; a rest of a row stays."""
    rows = weight.flatten(1)
    whole = rows.shape[1] // of * of
    runs = rows[:, :whole].reshape(len(rows), -1, of)
    ranks = runs.abs().argsort(dim=2, descending=True).argsort(dim=2)
    pruned = torch.where(ranks < keep, runs, 0.0).reshape(len(rows), whole)
    return torch.cat([pruned, rows[:, whole:]], dim=1).view_as(weight)


def _smallest_to_zero(weights: list[Tensor], *, share: float, together: bool) -> None:
    """Zero the `share` of smallest weights, ranked all `together` or each tensor alone."""
    for part in [weights] if together else [[weight] for weight in weights]:
        sizes = torch.cat([weight.detach().abs().flatten() for weight in part])
        zeros = round(share * len(sizes))
        if zeros:
            threshold = sizes.kthvalue(zeros).values
            for weight in part:
                weight.data = torch.where(weight.data.abs() <= threshold, 0.0, weight.data)


def _weights(network: nn.Module) -> list[Tensor]:
    return [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def _first(candidate: Candidate) -> nn.Module:
    """The network as it was before its first training, drawn again from the parent's seed."""
    parent = candidate.parent
    if (candidate.architecture, dict(candidate.sizes)) != (parent.architecture, dict(parent.card["build"]["sizes"])):
        raise UserError(
            f"prune_unstructured: rewind (=true) goes back to the first weights of {parent.model}, which a student of distill "
            f"(={candidate.architecture}) never had; set it to false"
        )
    torch.manual_seed(parent.card["provenance"]["seed"])
    network: nn.Module = architectures.build(
        parent.architecture,
        channels=parent.channels,
        size=parent.size,
        classes=len(parent.classes),
        sizes=candidate.sizes,
    )
    if hasattr(network, "drop_auxiliary"):
        network.drop_auxiliary()  # type: ignore[operator]
    if [weight.shape for weight in _weights(network)] != [weight.shape for weight in _weights(candidate.network)]:
        raise UserError(
            "prune_unstructured: rewind (=true) has no first weights for a network that was pruned or exchanged; set it to false"
        )
    return network
