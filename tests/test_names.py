"""One name for one class: no two files of the project define classes of the same name."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from imports import ROOT


def classes(root: Path) -> Iterator[tuple[str, str]]:
    """(name, file) of every class. A class that each task has in the same file, such as decode.Decode, is one of the protocol: once."""
    for room in ("src/neocog", "pipelines"):
        for path in sorted((root / room).rglob("*.py")):
            where = path.relative_to(root)
            if where.parts[:3] == ("src", "neocog", "tasks") and len(where.parts) == 5:
                where = Path("src/neocog/tasks/<task>", where.name)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    yield node.name, where.as_posix()


def twice(root: Path) -> dict[str, set[str]]:
    found = defaultdict(set)
    for name, where in classes(root):
        found[name].add(where)
    return {name: files for name, files in found.items() if len(files) > 1}


def test_a_class_has_a_name_of_its_own():
    assert len(dict(classes(ROOT))) > 150
    assert twice(ROOT) == {}


def test_the_control_a_name_that_two_files_define_is_found(tmp_path):
    for name in ("bundle/read", "tasks/a/decode", "tasks/b/decode", "tasks/b/metrics"):
        file = tmp_path / f"src/neocog/{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("class Row: ..." if "decode" not in name else "class Decode: ...")
    assert twice(tmp_path) == {"Row": {"src/neocog/bundle/read.py", "src/neocog/tasks/<task>/metrics.py"}}
