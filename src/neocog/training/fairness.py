"""Whose errors count: which images an epoch draws alike, and which groups' losses are weighed. Nothing of either unless the recipe asks."""

import numpy as np
import torch
from torch import nn

from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.tasks import task as tasks
from neocog.training.group_dro import GroupDRO
from neocog.training.recipe import Recipe


def alike(data: Prepared, recipe: Recipe) -> np.ndarray | None:
    """Of what the recipe draws as many images each: the class or the group of each training image [n]; None for all as they are."""
    if recipe.balance == "group":
        return data.cells("train", str(recipe.groups), limit=recipe.images)[0]
    if recipe.balance == "class":
        targets = data.split("train", limit=recipe.images).targets
        alike: np.ndarray = tasks.task(data.task).targets.strata(targets, classes=data.classes)[0]
        return alike
    return None


def dro(data: Prepared, recipe: Recipe) -> GroupDRO | None:
    """GroupDRO over the training images; None unless that is the objective."""
    if recipe.objective != "group_dro":
        return None
    members, _ = data.cells("train", str(recipe.groups), limit=recipe.images)
    return GroupDRO(torch.from_numpy(members), step=recipe.dro_step)


def check(model: nn.Module, recipe: Recipe, *, name: str) -> None:
    """Raise UserError when the model's own way of learning cannot be told whose errors count."""
    solved = hasattr(model, "solve")
    if recipe.objective != "mean" and (solved or hasattr(model, "learning_rule")):
        raise UserError(
            f"objective (={recipe.objective}) weighs the losses of images, but {name} learns by its own rule, which has none; "
            f"set objective: mean{'' if solved else ', and balance: group to draw groups alike'}"
        )
    if recipe.balance != "none" and solved:
        raise UserError(
            f"balance (={recipe.balance}) draws batches, but {name} is solved for all images at once; set balance: none"
        )
