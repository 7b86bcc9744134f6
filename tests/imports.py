"""What a stage's script imports, found in the source text: the ground for holding dvc.yaml to it."""

import ast
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[1]


def modules_of(path: Path, *, root: Path = ROOT) -> set[Path]:
    """The project's own files that `path` imports directly when it runs, anywhere in it, with the `__init__` of their packages."""
    found: set[Path] = set()
    tree = ast.parse(path.read_text())
    only_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
    }
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            found |= files_of(name, root=root)
    return found


def files_of(module: str, *, root: Path = ROOT) -> set[Path]:
    """The file of a dotted module of this project and the `__init__` of each package above it; empty for other people's."""
    parts = module.split(".")
    if parts[0] not in ("neocog", "pipelines"):
        return set()
    base = root / "src" if parts[0] == "neocog" else root
    found = {base.joinpath(*parts[: i + 1]) / "__init__.py" for i in range(len(parts))}
    found.add(base.joinpath(*parts).with_suffix(".py"))
    return {path for path in found if path.is_file()}


def closure(script: Path, *, root: Path = ROOT, without: Collection[Path] = ()) -> set[Path]:
    """All the project's own files that running `script` may import, however deep, but for what is or lies in one of `without`."""
    seen: set[Path] = {script}
    todo = [script]
    while todo:
        for path in modules_of(todo.pop(), root=root) - seen:
            if not any(path.is_relative_to(each) for each in without):
                seen.add(path)
                todo.append(path)
    return seen
