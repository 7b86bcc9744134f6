"""Balanced drawing (`balance`) and group DRO (`objective`), where the recipe asks for them."""

import numpy as np
import torch

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
