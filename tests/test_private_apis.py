"""Every private function of another library that neocog calls is in one file, and exists in the installed version."""

import ast
from importlib import import_module

import pytest
from imports import ROOT

from neocog.core import private_apis

SOURCE = ROOT / "src" / "neocog"
LIBRARIES = ("dvc", "ray", "pytorch_lightning", "lightning_fabric", "threading", "atexit")
ELSEWHERE = {"training/ranks.py": {"_configure_launcher"}}  # a method that is overridden
BY_DVC = "orchestration/"


def found(path: str) -> object:
    module, _, names = path.partition(":")
    each = import_module(module)
    for name in names.split("."):
        holder = each() if isinstance(each, type) and not hasattr(each, name) else each  # an attribute of instances
        each = getattr(holder, name)
    return each


@pytest.mark.parametrize("private", [*private_apis.NAMES, *private_apis.DVC], ids=lambda private: private.path)
def test_it_still_exists(private):
    try:
        found(private.path)
    except (ImportError, AttributeError, TypeError) as error:
        pytest.fail(
            f"{private.path} of {private.package} (tested with {private.tested}) is gone ({error}): {private.remedy}"
        )


def test_what_is_gone_is_noticed():
    with pytest.raises(AttributeError):
        found("threading:_shut_down_for_good")


def private_uses(tree: ast.AST) -> set[str]:
    """Private names of the libraries that a file imports, and attributes of it that the table names."""
    overridden = {private.path.rpartition(":")[2].rpartition(".")[2] for private in private_apis.NAMES}
    known = overridden | {private.path.rpartition(":")[2] for private in private_apis.DVC}
    uses = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in LIBRARIES:
            names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
            uses |= {name for name in names if name.startswith("_")}
        elif isinstance(node, ast.Attribute) and node.attr in known and node.attr.startswith("_"):
            uses.add(node.attr)
        elif isinstance(node, ast.FunctionDef) and node.name in overridden and node.name.startswith("_"):
            uses.add(node.name)
    return uses


def test_they_are_called_in_one_file_and_dvcs_in_one_folder():
    uses = {
        path.relative_to(SOURCE).as_posix(): private_uses(ast.parse(path.read_text(encoding="utf-8")))
        for path in SOURCE.rglob("*.py")
    }
    assert {"_shutdown", "_run_exitfuncs", "_private", "_raylet", "_TorchBackend"} <= uses.pop("core/private_apis.py")
    of_dvc = {name for path in list(uses) if path.startswith(BY_DVC) for name in uses.pop(path)}
    assert of_dvc == {name for private in private_apis.DVC if (name := private.path.rpartition(":")[2])[0] == "_"}
    assert {path: names for path, names in uses.items() if names} == ELSEWHERE
