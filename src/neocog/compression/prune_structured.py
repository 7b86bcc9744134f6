"""Structured pruning: whole channels go, and with them everything in other layers that belongs to them.

Fang, G., Ma, X., Song, M., Bi Mi, M. & Wang, X. (2023). DepGraph: towards any structural pruning. CVPR. arXiv:2301.12900.

What is left is an ordinary, narrower network: fewer weights, fewer multiplications, smaller maps. Which channels matter least is judged by
`importance`: `magnitude`, the norm of their weights (Li et al. 2017, arXiv:1608.08710); `taylor`, the loss that their removal would cost
by its first derivative (Molchanov et al. 2019, arXiv:1906.10771); `bn_scale`, the scale of their batch normalization (Liu et al. 2017,
arXiv:1708.06519); `random`, the control that the others must beat. In `rounds`, a training after each, more can go than at once.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Literal

import torch
import torch_pruning as tp
from annotated_types import Gt, Lt
from torch import Tensor, nn

from neocog.compression.chain import channels
from neocog.compression.chain.candidate import Candidate
from neocog.compression.chain.finetune import Train
from neocog.core.constrained_types import AtLeast1, Images, Seed
from neocog.core.errors import UserError
from neocog.data.augment import normalize
from neocog.data.prepared import Prepared
from neocog.tasks import task as tasks

IDEA = "Removes whole channels, so that a narrower network is left"
COST = "Accuracy, until the network is trained again; half of the channels leave about a quarter of weights and multiplications"
SUGGESTED = {"ratio": 0.5, "importance": "magnitude", "rounds": 2, "train": {"epochs": 3, "lr": 0.05}}
PAPER = "Fang et al. 2023, arXiv:2301.12900"
ON = "network"
TRAINS = "may"
BATCH = 32  # images behind one gradient
NEARLY_ALL = 0.99  # of the channels: the most that is tried for a ratio of macs, before all that can go
SHORT = 0.02  # of all channels, which may stay by rounding without a word
REFUSES = {
    "perceptron": "it has no hidden units; its only layer gives the classes",
    "adaline": "it has no hidden units; its only layer gives the classes",
    "svm": "it has no hidden units; its landmarks are images, to be reduced by `landmarks`",
}


def apply(
    candidate: Candidate,
    data: Prepared,
    *,
    train: Train | None = None,
    ratio: Annotated[float, Gt(0), Lt(1)] = 0.5,
    of: Literal["channels", "macs"] = "channels",
    importance: Literal["magnitude", "taylor", "bn_scale", "random"] = "magnitude",
    scope: Literal["layer", "global"] = "layer",
    rounds: AtLeast1 = 1,
    round_to: AtLeast1 = 1,
    images: Images = 1024,
    seed: Seed = 0,
) -> Candidate:
    """Remove the `ratio` of channels, or as many as hold that ratio `of` the multiply-accumulates.

    `scope`: the same share of each `layer`, down to one channel, or the least important anywhere (`global`; a tenth of a layer stays
    always). `round_to`: what is left is a multiple of it. `images`: training images behind `taylor`. Where the ratio cannot be reached,
    one sentence says how far it got. Raises UserError when nothing can be removed.
    """
    example = channels.example(data)
    before = candidate.copied()
    params, macs, kept = _params(before), channels.macs(before, example), 1.0
    for number in range(1, rounds + 1):
        goal = (1 - ratio) ** (number / rounds)
        scores = _scores(candidate, data, importance, images=images, seed=seed)

        narrowed = partial(_narrowed, candidate, example, scores, scope=scope, round_to=round_to)
        share = 1 - goal / kept if of == "channels" else _share(narrowed, example, macs=goal * macs)
        network, kept = narrowed(share), goal
        candidate = candidate.changed(network)
        candidate = train(candidate) if train else candidate
    if _params(candidate.network) == params:
        raise UserError(
            f"prune_structured: ratio (={ratio}) with round_to (={round_to}) removes nothing from {candidate.architecture}; "
            "raise ratio or lower round_to"
        )
    count, slack = (channels.width, SHORT) if of == "channels" else (channels.macs, 0.0)
    gone = 1 - count(candidate.copied(), example) / count(before, example)
    if gone < ratio - slack:
        least = "a tenth of each layer stays" if scope == "global" else "one channel of each layer stays"
        multiple = f", and what stays is a multiple of round_to (={round_to})" if round_to > 1 else ""
        print(
            f"prune_structured: ratio (={ratio}) of {of} is not reached, {100 * gone:.1f} % are gone; {least}{multiple}"
        )
    return candidate


def _scores(candidate: Candidate, data: Prepared, importance: str, *, images: int, seed: int) -> list[Tensor | None]:
    """How much each channel matters, for each group of channels that go together; None where `importance` cannot say."""
    network = candidate.copied()
    if importance == "taylor":
        _gradients(network, data, images=images)
        if not any(each.grad is not None and each.grad.any() for each in network.parameters()):
            raise UserError(
                f"prune_structured: importance (=taylor) goes by gradients, "
                f"of which {candidate.architecture} has none; set importance: magnitude"
            )
    found = channels.groups(network, channels.example(data))
    if importance == "random":
        draw = torch.Generator().manual_seed(seed)
        return [torch.rand(len(group[0].idxs), generator=draw) for group in found]
    judge = {
        "magnitude": tp.importance.GroupMagnitudeImportance,
        "taylor": tp.importance.GroupTaylorImportance,
        "bn_scale": tp.importance.BNScaleImportance,
    }[importance]()
    scores = [judge(group) for group in found]
    if all(score is None for score in scores):
        raise UserError(
            f"prune_structured: importance (={importance}) can judge none of the {len(found)} groups of channels "
            f"of {candidate.architecture}; set importance: magnitude"
        )
    return [None if score is None else score.nan_to_num(0.0) for score in scores]


def _gradients(network: nn.Module, data: Prepared, *, images: int) -> None:
    """Leave in `.grad` the root mean square of the loss's gradient over small batches of training images.

    Where training has ended the gradient over all images is next to nothing, and says nothing; that of a batch still shows what matters.
    The images are the first ones, which stand in the order of their hashes: a random choice.
    """
    objective = tasks.task(data.task).objective
    train = data.split("train")
    mean, std = (torch.tensor(each) * 255 for each in (data.mean, data.std))
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    for start in range(0, min(images, len(train.targets)), BATCH):
        rows = slice(start, min(start + BATCH, images))
        batch = normalize(torch.from_numpy(train.images[rows].copy()), mean=mean, std=std)
        loss = objective.loss(network(batch.contiguous()), torch.from_numpy(train.targets[rows].copy()))
        for square, gradient in zip(squares, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
            if gradient is not None:
                square.addcmul_(gradient, gradient)
    for parameter, square in zip(parameters, squares, strict=True):
        parameter.grad = square.sqrt_()


def _narrowed(
    candidate: Candidate,
    example: Tensor,
    scores: Sequence[Tensor | None],
    share: float,
    *,
    scope: Literal["layer", "global"],
    round_to: int,
) -> nn.Module:
    network = candidate.copied()
    channels.remove(network, example, scores, share=share, scope=scope, round_to=round_to)
    return network


def _share(narrowed: Callable[[float], nn.Module], example: Tensor, *, macs: float) -> float:
    """The smallest share of channels that leaves at most `macs`, to a hundredth; all that can go when none does."""
    low, high = 0.0, NEARLY_ALL
    while high - low > 0.01:
        middle = (low + high) / 2
        fits = channels.macs(narrowed(middle), example) <= macs
        low, high = (low, middle) if fits else (middle, high)
    return 1.0 if high == NEARLY_ALL and channels.macs(narrowed(high), example) > macs else high


def _params(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
