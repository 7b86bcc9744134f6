"""Compression methods, one file each: what it does, what gets worse, suggested values, the paper, `apply`. The folder is the registry.

A file exposes `IDEA` (one line: what it does), `COST` (what gets worse), `SUGGESTED` (settings to begin with),
`PAPER`, `ON`, `TRAINS` (`never`, `may`: better with a training after it, `must`) and `apply(candidate, data, *,
<settings>) -> candidate`; the keywords of `apply` are the keys that a step in params.yaml may hold. A method that
trains has the keyword `train` besides. `REFUSES` maps architectures to the reason why the method does not work on
them; `TASKS` names the tasks that it suits, where it does not suit all. `ON` says what it changes, and with that its place in
a recipe: the PyTorch `network`; after those the ONNX `graph`, at most one of them; last what it answers, the `logits`.
All of this is read from the source text, so that checking params costs no torch. What carries a model from one step to the next
is in `chain/`.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from neocog.core import plugin_metadata
from neocog.core.errors import UserError, nearest

if TYPE_CHECKING:
    from neocog.compression.chain.candidate import Candidate
    from neocog.compression.chain.finetune import Train
    from neocog.data.prepared import Prepared

GIVEN = ("train",)  # what the stage brings, not the user
STEP_KEYS = ("method", "train")  # of every step in params.yaml, beside the method's own
CONSTANTS: dict[str, Any] = {"SUGGESTED": {}, "REFUSES": {}, "TASKS": ()}  # and what holds where a file does not say
PLACES = ("network", "graph", "logits")  # in a recipe, one after the other
REQUIRED = ("IDEA", "COST", "PAPER", "ON", "TRAINS")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class MethodCard:
    """Metadata of a method, read from its source text. `settings` maps each key of its step to (type, default)."""

    name: str
    idea: str
    cost: str
    paper: str
    about: str
    on: Literal["network", "graph", "logits"]
    trains: Literal["never", "may", "must"]
    settings: Mapping[str, tuple[Any, Any]]
    suggested: Mapping[str, Any]
    refuses: Mapping[str, str]
    tasks: tuple[str, ...]  # empty: all


def names() -> list[str]:
    """All methods: those on the network, which come first in a recipe, then those on the graph, then those on the logits."""
    found = [path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"]
    return sorted(found, key=lambda name: (PLACES.index(card(name).on), name))


@cache
def card(name: str) -> MethodCard:
    """The card of one method, read without importing it. Raises UserError when there is no such file."""
    path = FOLDER / f"{name}.py"
    if not name.isidentifier() or name == "__init__" or not path.is_file():
        known = [p.stem for p in FOLDER.glob("*.py") if p.stem != "__init__"]
        raise UserError(f"method (={name!r}): there is no such compression method; {nearest(name, known)}")
    tree = ast.parse(path.read_text())
    constants = CONSTANTS | plugin_metadata.constants(tree, (*REQUIRED, *CONSTANTS))
    settings = plugin_metadata.keywords(tree, "apply", given=GIVEN)
    return MethodCard(
        name,
        idea=constants["IDEA"],
        cost=constants["COST"],
        paper=constants["PAPER"],
        about=ast.get_docstring(tree) or "",
        on=constants["ON"],
        trains=constants["TRAINS"],
        settings=settings,
        suggested=constants["SUGGESTED"],
        refuses=constants["REFUSES"],
        tasks=tuple(constants["TASKS"]),
    )


def load(name: str) -> ModuleType:
    """The module of one method (imports torch)."""
    card(name)
    return import_module(f"neocog.compression.{name}")


def check(steps: Sequence[Mapping[str, Any]], *, where: str) -> None:
    """Raise UserError unless `steps`, as in params.yaml, name methods in an order that can be carried out. Types are not checked here."""
    before = ""  # the step from which on there is a graph of its own
    for number, step in enumerate(steps):
        here = f"{where}.steps[{number}]"
        bare = here.removeprefix("params.yaml: ")
        if "method" not in step:
            raise UserError(f"{here} names no method; write method: one of {', '.join(names())}")
        if step["method"] not in (known := names()):
            raise UserError(
                f"{here}.method (={step['method']!r}): there is no such method; {nearest(str(step['method']), known)}"
            )
        about = card(step["method"])
        for key in step:
            if key not in about.settings and key not in STEP_KEYS:
                raise UserError(f"{here}.{key}: unknown key; {nearest(str(key), [*about.settings, *STEP_KEYS])}")
        if before and about.on != "logits":
            raise UserError(f"{here}: {about.name} comes after {before}, whose graph it cannot change; put it before")
        if about.trains == "must" and not step.get("train"):
            raise UserError(f"{here}: {about.name} is a training; set {bare}.train: {{epochs: 2}}")
        if about.trains == "never" and "train" in step:
            raise UserError(f"{here}.train: {about.name} changes the graph, which does not train; remove {bare}.train")
        before = about.name if about.on != "network" else before


def check_architecture(method: str, architecture: str, *, where: str) -> None:
    """Raise UserError when the method refuses the architecture."""
    if reason := card(method).refuses.get(architecture):
        raise UserError(f"{where}: {method} does not work on {architecture}: {reason}")


def check_task(method: str, task: str, *, where: str) -> None:
    """Raise UserError when the method does not suit the task."""
    if (suited := card(method).tasks) and task not in suited:
        raise UserError(
            f"{where}.method (={method!r}) is for {' and '.join(suited)}, not for {task}; leave the step out"
        )


def apply(
    step: Mapping[str, Any], candidate: "Candidate", data: "Prepared", *, train: "Train | None" = None
) -> "Candidate":
    """One step of a recipe, as in params.yaml. `train` trains a candidate again; without it nothing is recovered.

    Raises UserError where the method does not work on the candidate's architecture.
    """
    about = card(step["method"])
    check_task(about.name, candidate.parent.task, where=candidate.parent.model)
    check_architecture(about.name, candidate.architecture, where=candidate.parent.model)
    settings = {key: value for key, value in step.items() if key not in STEP_KEYS}
    given = {"train": train} if about.trains != "never" else {}
    changed: Candidate = load(about.name).apply(candidate, data, **given, **settings)
    return changed
