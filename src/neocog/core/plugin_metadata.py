"""Plugin metadata: the constants and signatures of a registry's file, read from its source text in milliseconds, without torch."""

import ast
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from neocog.core import constrained_types

WORDS = {word: getattr(constrained_types, word) for word in vars(constrained_types) if not word.startswith("_")} | {
    "Annotated": Annotated,
    "Any": Any,
    "Ge": Ge,
    "Gt": Gt,
    "Le": Le,
    "Literal": Literal,
    "Lt": Lt,
    "Mapping": Mapping,
    "Sequence": Sequence,
}  # in which the types of keywords are written


def constants(tree: ast.Module, names: Collection[str]) -> dict[str, Any]:
    """The values of those module constants among `names` that the file sets."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names
    }


def keywords(tree: ast.Module, function: str, *, given: Collection[str]) -> dict[str, tuple[Any, Any]]:
    """(type, default) of each keyword of the file's `function` that a user may set: all but those `given` by the caller."""
    arguments = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function).args
    return {
        arg.arg: (eval(ast.unparse(arg.annotation), WORDS), ast.literal_eval(default))
        for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if arg.arg not in given and arg.annotation is not None and default is not None
    }
