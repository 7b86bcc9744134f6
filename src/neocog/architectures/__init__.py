"""One file, one architecture: paper and citation, blocks, network, `build`. The folder is the registry, `tasks/<task>/architectures/` that
of networks for one task alone.

A file exposes `YEAR`, `IDEA` (one line: what it brought) and `build(*, channels, size, classes, <sizes>)`, which
makes the small-image form; the keywords of `build` are the keys that its block in params.yaml may hold. `FORMS` maps
each form to its parameters and multiply-accumulates: `small` at 28 px, gray and ten classes, and the published ones
at their size and 1000 classes, which `published(form, *, channels, size, classes)` makes; `BLOCKS` names the building
blocks (`neocog.architectures.blocks`) that params may exchange; `FIRST_WEIGHTS` the keywords that only say which weights training
begins with: a bundle has its own. Every network that learns by backpropagation takes `weights`, those of a file or of a bundle, and the
published forms that torchvision trained take `pretrained`. All of this is read from the source text, so that listing architectures and
checking params costs milliseconds and no torch.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from neocog.architectures.blocks import CHOICES
from neocog.core import image_size, plugin_metadata
from neocog.core.errors import UserError, nearest
from neocog.core.image_size import Size

GIVEN = ("channels", "size", "classes")  # what the data decide, not the user
SMALL = "small"  # the form that `build` makes
CONSTANTS: dict[str, Any] = {"BLOCKS": (), "FORMS": {}, "FIRST_WEIGHTS": ()}  # and what holds where a file does not say
WEIGHTS: dict[str, tuple[Any, Any]] = {"weights": (str | None, None)}  # a file of first weights, or a bundle's folder
PRETRAINED: dict[str, tuple[Any, Any]] = {
    "pretrained": (bool, False)
}  # those that torchvision has for a published form
FOLDER = Path(__file__).parent
OF_TASKS = FOLDER.parent / "tasks"  # where <task>/architectures/ holds those of one task alone


@dataclass(frozen=True)
class ArchitectureCard:
    """Metadata of an architecture, read from its source text.

    `sizes` maps each key that shapes the network to (type, default): the keywords of `build`, `form` if there are
    others than the small one, and the exchangeable blocks, whose default None leaves what the paper has.
    """

    name: str
    year: int
    idea: str
    about: str
    sizes: Mapping[str, tuple[Any, Any]]
    blocks: tuple[str, ...]
    forms: Mapping[str, tuple[int, int]]  # parameters and multiply-accumulates
    first_weights: tuple[str, ...]  # those of `sizes` that only fill the network
    own_rule: (
        bool  # learns by a rule of its own (`learning_rule`, `solve`) instead of backpropagation of the task's loss
    )
    fills_itself: bool  # its `build` loads first weights
    task: str | None  # which it is for, if for one alone
    has_maps: bool  # gives a detector its maps of several strides, by `feature_maps`


def names(task: str | None = None) -> list[str]:
    """All architectures for a task, by year; of None those in this folder, which are for whole images."""
    own = sorted((OF_TASKS / task / "architectures").glob("*.py")) if task else []
    found = [path.stem for path in own or FOLDER.glob("*.py") if path.stem != "__init__"]
    return sorted(found, key=lambda name: (card(name).year, name))


def everywhere() -> dict[str, Path]:
    """The file of each architecture, of every task."""
    found = [*FOLDER.glob("*.py"), *OF_TASKS.glob("*/architectures/*.py")]
    return {path.stem: path for path in found if path.stem != "__init__"}


def backbones() -> list[str]:
    """The architectures whose maps a detector can stand on."""
    return [name for name in names() if card(name).has_maps]


@cache
def card(name: str) -> ArchitectureCard:
    """The card of one architecture, read without importing it. Raises UserError when there is no such file."""
    files = everywhere()
    if name not in files:
        raise UserError(f"architectures.{name}: there is no such architecture; {nearest(name, files)}")
    path = files[name]
    tree = ast.parse(path.read_text())
    constants = CONSTANTS | plugin_metadata.constants(tree, ("YEAR", "IDEA", *CONSTANTS))
    sizes = plugin_metadata.keywords(tree, "build", given=GIVEN)
    if len(forms := constants["FORMS"]) > 1:
        sizes["form"] = (Literal[tuple(forms)], SMALL)
    sizes |= {block: (CHOICES[block] | None, None) for block in constants["BLOCKS"]}
    methods = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    own_rule = bool(methods & {"learning_rule", "solve"})
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    if not constants["FIRST_WEIGHTS"] and not own_rule:  # else `build` fills its network itself
        filled = WEIGHTS | (PRETRAINED if "from_torchvision" in imported else {})
        sizes |= filled
        constants["FIRST_WEIGHTS"] = tuple(filled)
    return ArchitectureCard(
        name,
        constants["YEAR"],
        constants["IDEA"],
        ast.get_docstring(tree) or "",
        sizes,
        constants["BLOCKS"],
        forms,
        constants["FIRST_WEIGHTS"],
        own_rule=own_rule,
        fills_itself="weights" in plugin_metadata.keywords(tree, "build", given=GIVEN),
        task=path.parent.parent.name if path.parent != FOLDER else None,
        has_maps=path.parent == FOLDER and ("Network" in imported or "feature_maps" in methods),
    )


def load(name: str) -> ModuleType:
    """The module of one architecture (imports torch)."""
    task = card(name).task
    return import_module(f"neocog.tasks.{task}.architectures.{name}" if task else f"neocog.architectures.{name}")


def sizes(name: str, block: Mapping[str, Any]) -> dict[str, Any]:
    """What shapes the network: what its `block` in params.yaml sets, and the defaults of the rest."""
    about = card(name)
    found = {key: block.get(key, default) for key, (_, default) in about.sizes.items()}
    unset = {*about.blocks, *(() if about.fills_itself else about.first_weights)}
    return {key: value for key, value in found.items() if value or key not in unset}


def empty(name: str, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Of `sizes`, those that shape the network: what builds it for weights that are there already."""
    return {key: value for key, value in sizes.items() if key not in card(name).first_weights}


def build(name: str, *, channels: int, size: Size | int, classes: int, sizes: Mapping[str, Any] | None = None) -> Any:
    """The network: images float [N, channels, *size] -> logits [N, classes]. `sizes` as in its block in params.yaml."""
    module, about, size = load(name), card(name), image_size.pair(size)
    own = ("form", *about.blocks, *(() if about.fills_itself else about.first_weights))
    given = {key: value for key, value in (sizes or {}).items() if key not in own}
    form = (sizes or {}).get("form", SMALL)
    if form == SMALL:
        model = module.build(channels=channels, size=size, classes=classes, **given)
    else:
        model = module.published(form, channels=channels, size=size, classes=classes)
    for block in about.blocks:
        choice = (sizes or {}).get(block)
        if choice and not import_module(f"neocog.architectures.blocks.{block}").apply(model, choice):
            raise UserError(
                f"architectures.{name}.{block} (={choice}): its form {form} has nothing to exchange there; remove the key"
            )
    if not about.fills_itself and sizes and any(sizes.get(key) for key in about.first_weights):
        import_module("neocog.architectures.pretrained.fill").fill(model, name=name, form=form, sizes=sizes)
    return model


def normalization(name: str, sizes: Mapping[str, Any], *, channels: int) -> Any:
    """Mean and standard deviation by channel with which its first weights see images; None where the data's own hold."""
    return import_module("neocog.architectures.pretrained.normalization").of(name, sizes, channels=channels)
