"""Imports of a Python file, found in the text of the source files: nothing is imported to know them."""

import ast
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path

Packages = Mapping[str, Path]  # name of a package -> its folder


def closure(starts: Iterable[Path], *, packages: Packages, without: Collection[Path] = ()) -> set[Path]:
    """All files of `packages` that `starts` may import, however deep, but for what is or lies in one of `without`."""
    seen = set(starts)
    todo = list(seen)
    while todo:
        for path in imported(todo.pop(), packages=packages) - seen:
            if not any(path.is_relative_to(each) for each in without):
                seen.add(path)
                todo.append(path)
    return seen


def imported(path: Path, *, packages: Packages) -> set[Path]:
    """The files of `packages` that `path` imports directly when it runs, anywhere in it, with the `__init__` of each package above."""
    return {file for name in _names(path.read_text(encoding="utf-8")) for file in _files(name, packages)}


@cache
def _names(text: str) -> frozenset[str]:
    """Dotted names that a source text imports, but those only for type checkers."""
    found: set[str] = set()
    tree = ast.parse(text)
    only_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
    }
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def _files(name: str, packages: Packages) -> set[Path]:
    first, *parts = name.split(".")
    if first not in packages:
        return set()
    folders = [packages[first].joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    found = {folder / "__init__.py" for folder in folders} | {folders[-1].with_suffix(".py")}
    return {path for path in found if path.is_file()}
