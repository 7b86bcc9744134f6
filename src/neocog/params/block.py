"""A block under `architectures` in params.yaml: its architecture, what it may hold, and whether it makes sense. No torch."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from neocog import architectures
from neocog.bundle.read import NAME
from neocog.core.errors import UserError, nearest
from neocog.core.validation import keywords
from neocog.training.recipe import KEYS

TIMES: dict[str, tuple[Any, Any]] = {"seeds": (Annotated[int, Ge(1), Le(1000)], 1)}  # how often to train it
ARCHITECTURE = "architecture"  # key of a block whose own name is free


def architecture(name: str, values: Any) -> str:
    """The architecture of the block `name`: what its key `architecture` says, or else its name."""
    return str(values.get(ARCHITECTURE, name)) if isinstance(values, dict) else name


def check(name: Any, values: Any) -> None:
    """Raise UserError for the first thing that is wrong with the block `values` called `name`, but for its recipe."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(
            f"params.yaml: architectures.{name}: the name of a block becomes a folder; "
            "write it as text of at most 100 letters, digits, - and _"
        )
    if not isinstance(values, dict):
        raise UserError(
            f"params.yaml: architectures.{name} (={values!r}) must be a block of keys; write {{}} for the defaults"
        )
    _check_architecture(name, values)
    card = architectures.card(architecture(name, values))
    sizes, other = card.sizes, [*KEYS, *TIMES, ARCHITECTURE]
    for key in values:
        if key not in sizes and key not in other:
            raise UserError(
                f"params.yaml: architectures.{name}.{key} (={values[key]!r}): unknown key; {nearest(str(key), [*sizes, *other])}"
            )
    keywords(sizes, f"architectures.{name}", architectures.sizes(card.name, values))
    keywords(TIMES, f"architectures.{name}", {key: values[key] for key in TIMES if key in values})
    _check_form(name, card, values)
    check_weights(f"architectures.{name}.weights", values.get("weights"))
    lists = {key: values.get(key, sizes[key][1]) for key in ("widths", "depths") if key in sizes}
    if any(not stages for stages in lists.values()) and len(lists) > 1:
        raise UserError(f"params.yaml: architectures.{name}: {lists} must name at least one stage of the network")
    if len({len(stages) for stages in lists.values()}) > 1:
        raise UserError(
            f"params.yaml: architectures.{name}: {lists} must be equally long, one entry a stage of the network"
        )


def check_weights(key: str, weights: Any) -> None:
    """Raise UserError for first weights that a stage writes: deps are those of all blocks, so that no block can wait for another."""
    if not isinstance(weights, str):
        return
    inside = Path(os.path.relpath(weights)).parts
    if inside[:1] == ("models",) and len(inside) > 2:
        bundle = "/".join(inside[:3])
        raise UserError(
            f"params.yaml: {key} (={weights!r}) is written by another stage, for which DVC would not wait; "
            f"name a copy instead, such as first-weights after `cp -rL {bundle} first-weights`"
        )


def _check_architecture(name: str, values: Mapping[str, Any]) -> None:
    known, where = [*architectures.everywhere()], f"params.yaml: architectures.{name}"
    if ARCHITECTURE not in values and name not in known:
        raise UserError(
            f"{where}: there is no such architecture; {nearest(name, known)}; "
            f"a block with a name of its own says which it is, such as {ARCHITECTURE}: resnet"
        )
    if (named := values.get(ARCHITECTURE, name)) not in known:
        raise UserError(
            f"{where}.{ARCHITECTURE} (={named!r}): there is no such architecture; {nearest(str(named), known)}"
        )
    if name in known and named != name:
        raise UserError(
            f"{where}.{ARCHITECTURE} (={named!r}): {name} is the name of another architecture; rename the block"
        )


def _check_form(name: str, card: architectures.ArchitectureCard, values: Mapping[str, Any]) -> None:
    form = values.get("form", architectures.SMALL)
    if values.get("pretrained") and values.get("weights"):
        raise UserError(
            f"params.yaml: architectures.{name}: pretrained (=true) and weights (={values['weights']!r}) both say what it begins with; "
            "remove one of them"
        )
    if values.get("pretrained") and not card.fills_itself and form == architectures.SMALL:
        forms = [each for each in card.forms if each != architectures.SMALL]
        raise UserError(
            f"params.yaml: architectures.{name}: pretrained (=true), but nobody has trained form (={form}) before; "
            f"set form: {forms[0]}, or weights: a file of your own"
        )
    if form in card.forms and form != architectures.SMALL:
        small = [key for key in values if key in card.sizes and key not in ("form", *card.blocks, *card.first_weights)]
        if small:
            said = ", ".join(f"{key} (={values[key]!r})" for key in small)
            raise UserError(
                f"params.yaml: architectures.{name}: form (={form}) has sizes of its own, but the small form's are set: {said}; "
                f"remove {', '.join(small)}, or set form: {architectures.SMALL}"
            )
