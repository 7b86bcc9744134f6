"""The optimizer and its schedule, from a recipe; and the hyperparameters that the optimizer really has."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from neocog.training import depth
from neocog.training.recipe import Recipe

Layers = Mapping[
    str, tuple[float, int]
]  # by parameter: factor of lr, and its layer where layers begin one after the other


def decayed(model: nn.Module) -> set[str]:
    """Names of the parameters that decay: weights, but not biases and the scales of norms (fewer than two dimensions).

    To be asked before a strategy shards the model: a shard has one dimension.
    """
    return {name for name, parameter in model.named_parameters() if parameter.ndim > 1}


def groups(model: nn.Module, recipe: Recipe, *, decayed: set[str], layers: Layers) -> list[dict[str, Any]]:
    """Parameters in two groups, those named `decayed` with weight decay, the others without; of each layer, if `layers` are given."""
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    found = []
    for scale, number in sorted(set(layers.values()) or {(1.0, 0)}, reverse=True):
        own = [(name, parameter) for name, parameter in trained if layers.get(name, (1.0, 0)) == (scale, number)]
        parts = (
            ([parameter for name, parameter in own if name in decayed], recipe.weight_decay),
            ([parameter for name, parameter in own if name not in decayed], 0.0),
        )
        own_lr = {} if scale == 1.0 else {"lr": recipe.lr * scale, "lr_scale": scale}
        found += [{"params": each, "weight_decay": decay, **own_lr} for each, decay in parts]
    return [group for group in found if group["params"]] if layers else found


def layers(model: nn.Module, recipe: Recipe) -> Layers:
    """By parameter, the factor of lr that `layer_decay` and `head_lr` give it, and the layer with which it begins to learn; empty where all
    learn alike. (Those of one group begin together, for PyTorch's fused SGD asks it of them.)"""
    waits = isinstance(recipe.freeze, int)
    if recipe.layer_decay == 1.0 and recipe.head_lr is None and not waits:
        return {}
    scales = depth.scales(model, decay=recipe.layer_decay)
    found = depth.layers(model)
    if recipe.head_lr is not None:
        scales |= dict.fromkeys(found[-1], recipe.head_lr / recipe.lr)
    return {name: (scales[name], number if waits else 0) for number, names in enumerate(found) for name in names}


def optimizer(model: nn.Module, recipe: Recipe, *, decayed: set[str], layers: Layers | None = None) -> Optimizer:
    """The recipe's optimizer over the model's parameters; fused unless gradients must be unscaled and clipped before it."""
    parameters = groups(model, recipe, decayed=decayed, layers=layers or {})
    fused = not (recipe.precision == "16-mixed" and recipe.clip_norm)
    if recipe.optimizer == "sgd":
        fused = fused and recipe.strategy != "fsdp"  # torch has no fused SGD of shards
        return torch.optim.SGD(
            parameters, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=fused
        )
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=recipe.lr, momentum=recipe.momentum)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=recipe.lr, betas=recipe.betas, fused=fused)


def schedule(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """The factor of `lr` at each of `steps` optimizer steps. The warm-up rises linearly; then:

    constant; step and exponential (x `drop` a period, at once or evenly); cosine (Loshchilov & Hutter 2017, arXiv:1608.03983) to `final`;
    one_cycle (Smith 2018, arXiv:1708.07120: a half cosine up, then a half cosine down); cyclical (Smith 2017, arXiv:1506.01186: triangles
    between 1 and `final`); warm_restarts (cosine again and again, each period `stretch` times longer).
    """
    warmup = round(recipe.warmup * steps)
    rest = max(1, steps - warmup)
    period = max(1, round(recipe.period * steps))

    def cosine(part: float) -> float:
        return recipe.final + (1 - recipe.final) * (1 + math.cos(math.pi * min(1.0, part))) / 2

    def factor(step: int) -> float:  # noqa: PLR0911 - one line a schedule
        if step < warmup:
            part = (step + 1) / warmup
            return 1 - (1 - 0.04) * (1 + math.cos(math.pi * part)) / 2 if recipe.schedule == "one_cycle" else part
        since = step - warmup
        match recipe.schedule:
            case "constant":
                return 1.0
            case "step":
                return _power(recipe.drop, since // period)
            case "exponential":
                return _power(recipe.drop, since / period)
            case "cosine" | "one_cycle":
                return cosine(since / rest)
            case "cyclical":
                return recipe.final + (1 - recipe.final) * abs(1 - 2 * (since % period) / period)
            case "warm_restarts":
                length = float(period)
                while since >= length:
                    since, length = since - math.ceil(length), max(1.0, length * recipe.stretch)
                return cosine(since / length)

    return factor


def _power(base: float, exponent: float) -> float:
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf  # the training says that it diverged


def hyperparameters(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Those of each parameter group of a new optimizer, once its schedule is attached; `lr` is left to the schedule."""
    return [
        {key: value for key, value in group.items() if key not in ("params", "lr")} for group in optimizer.param_groups
    ]


def restore(optimizer: Optimizer, schedule: LambdaLR, hyperparameters: Sequence[Mapping[str, Any]]) -> None:
    """Give the parameter groups their `hyperparameters` again, with `lr` where `schedule` stands now.

    A loaded checkpoint brings along the values of its own training, which in population-based training is another one's.
    """
    schedule.base_lrs = [values["initial_lr"] for values in hyperparameters]
    for group, values, factor in zip(optimizer.param_groups, hyperparameters, schedule.lr_lambdas, strict=True):
        group.update(values, lr=values["initial_lr"] * factor(schedule.last_epoch))


def check(optimizer: Optimizer, recipe: Recipe) -> None:
    """Raise AssertionError unless the optimizer holds the recipe's values: none is silently replaced by a default."""
    wanted: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer in ("sgd", "rmsprop"):
        wanted["momentum"] = recipe.momentum
    if recipe.optimizer == "sgd":
        wanted["nesterov"] = recipe.nesterov
    if recipe.optimizer in ("adam", "adamw"):
        wanted["betas"] = tuple(recipe.betas)
    found = described(optimizer)
    wanted["lr"] *= optimizer.param_groups[0].get("lr_scale", 1.0)
    for key, value in wanted.items():
        has = found[f"optimizer.{key}"]
        assert (tuple(has) if key == "betas" else has) == value, (
            f"the optimizer holds {key} {has}, the recipe says {value}"
        )


def described(optimizer: Optimizer) -> dict[str, Any]:
    """The hyperparameters that the optimizer really has, by name: `optimizer.lr`, `optimizer.weight_decay`, ... of its first group."""
    own = {key: value for key, value in optimizer.param_groups[0].items() if key != "params" and value is not None}
    own["lr"] = own.pop("initial_lr", own["lr"])  # what a schedule multiplies
    return {"optimizer.class": type(optimizer).__name__} | {f"optimizer.{key}": value for key, value in own.items()}
