"""The augmentations that there are, read from the text of methods.py: checking a list of them costs milliseconds and no torch."""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from neocog.core import plugin_metadata
from neocog.core.constrained_types import Fraction
from neocog.core.errors import UserError, nearest
from neocog.core.validation import keywords

GIVEN = ("size", "fill")  # what the data decide, not the user
COMMON: dict[str, tuple[Any, Any]] = {"chance": (Fraction, 1.0)}  # of an image to be changed at all


@cache
def cards() -> dict[str, tuple[str, dict[str, tuple[Any, Any]]]]:
    """By name, the first line of what an augmentation says of itself, and (type, default) of each of its settings."""
    tree = ast.parse((Path(__file__).parent / "methods.py").read_text(encoding="utf-8"))
    functions = [each for each in tree.body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
    return {
        each.name: (
            (ast.get_docstring(each) or "").partition("\n")[0],
            plugin_metadata.keywords(tree, each.name, given=GIVEN) | COMMON,
        )
        for each in functions
    }


def check(augment: Sequence[Mapping[str, Any]], *, where: str = "augment") -> None:
    """Raise UserError for the first entry that names no augmentation, or sets what it has not."""
    for number, entry in enumerate(augment):
        here = f"{where}[{number}]"
        if "method" not in entry:
            raise UserError(f"{here} names no method; write method: one of {', '.join(cards())}")
        if (method := entry["method"]) not in cards():
            raise UserError(
                f"{here}.method (={method!r}): there is no such augmentation; {nearest(str(method), cards())}"
            )
        settings = cards()[method][1]
        given = {key: value for key, value in entry.items() if key != "method"}
        for key in given:
            if key not in settings:
                raise UserError(f"{here}.{key}: unknown key; {nearest(str(key), settings)}")
        try:
            keywords(settings, here, given)
        except UserError as error:
            raise UserError(str(error).removeprefix("params.yaml: ")) from error
        for key in ("scale", "ratio"):
            if key in given and given[key][0] > given[key][1]:
                raise UserError(f"{here}.{key} (={given[key]}) must not fall; set {key}: {given[key][::-1]}")
