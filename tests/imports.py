"""What a stage's script imports, found in the source text: the ground for holding dvc.yaml to it."""

from collections.abc import Collection
from pathlib import Path

from neocog.core import imports

ROOT = Path(__file__).parents[1]


def closure(script: Path, *, root: Path = ROOT, without: Collection[Path] = ()) -> set[Path]:
    """All the project's own files that running `script` may import, however deep, but for what is or lies in one of `without`."""
    packages = {"neocog": root / "src/neocog", "pipelines": root / "pipelines"}
    return imports.closure([script], packages=packages, without=without)
