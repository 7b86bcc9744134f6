"""Frozen layers: what of a network does not learn in an epoch. Their normalizations keep their statistics, their dropout is off."""

import math
from collections.abc import Collection

from torch import nn

from neocog.training import depth
from neocog.training.recipe import Recipe

NORMS = ("norm", "bn")  # in the name of a normalization's class, in lower case


def at_first(model: nn.Module, recipe: Recipe) -> None:
    """Freeze what never learns, before an optimizer or a strategy sees the parameters. What is frozen for some epochs, they must see."""
    if recipe.freeze in ("backbone", "norms"):
        _freeze(model, frozen(model, recipe, epoch=0), at_all=True)


def apply(model: nn.Module, recipe: Recipe, *, epoch: int) -> None:
    """Freeze what does not learn in an epoch, counted from 0, and let the rest learn. It depends on nothing that was before."""
    if recipe.freeze != "none":
        model.train()
        _freeze(model, frozen(model, recipe, epoch=epoch), at_all=not isinstance(recipe.freeze, int))


def frozen(model: nn.Module, recipe: Recipe, *, epoch: int) -> set[str]:
    """Names of the parameters that do not learn in an epoch, counted from 0.

    `unfreeze: gradual` lets the backbone learn from the last layer on, and all of it from the middle of the epochs that are left.
    """
    if recipe.freeze == "none":
        return set()
    if recipe.freeze == "norms":
        return {
            f"{name}.{own}" if name else own
            for name, module in model.named_modules()
            if _is_norm(module)
            for own, _ in module.named_parameters()
        }
    *backbone, _ = depth.layers(model)
    if isinstance(recipe.freeze, int) and epoch >= recipe.freeze:
        if recipe.unfreeze == "once":
            return set()
        half = max(1, math.ceil((recipe.epochs - recipe.freeze) / 2))
        learning = math.ceil(len(backbone) * min(1.0, (epoch - recipe.freeze + 1) / half))
        backbone = backbone[: len(backbone) - learning]
    return {name for names in backbone for name in names}


def _freeze(model: nn.Module, names: Collection[str], *, at_all: bool) -> None:
    """`at_all`: what is not frozen was never, so it is left as it is (a network may have parameters of its own that do not learn)."""
    for name, parameter in model.named_parameters():
        if name in names or not at_all:
            parameter.requires_grad_(name not in names)
    last = depth.head(model)
    body = [name for name, _ in model.named_parameters() if not name.startswith(f"{last}.")]
    whole = all(name in names for name in body)
    for name, module in model.named_modules():
        own = [f"{name}.{each}" if name else each for each, _ in module.named_parameters()]
        between = whole and not list(module.children()) and not f"{name}.".startswith(f"{last}.")  # frozen layers
        if all(each in names for each in own) if own else between:
            module.eval()


def _is_norm(module: nn.Module) -> bool:
    return not list(module.children()) and any(word in type(module).__name__.lower() for word in NORMS)
