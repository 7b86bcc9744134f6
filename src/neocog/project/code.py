"""The SHA-256 of the installed code that a project's stages run, one small file for each dependency that its dvc.yaml names.

A project has no source tree that DVC could watch, and where the package lies differs by machine: digests are the same everywhere.
"""

import hashlib
import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from neocog.core.errors import UserError

FOLDER = Path("data/code")
PACKAGES = ("neocog", "pipelines")
_IGNORED = {"__pycache__", ".DS_Store"}


def name(path: str) -> str:
    """`neocog/data/loader.py` -> `neocog.data.loader.py`: flat, as a room and a file in it may both be a dependency."""
    return path.replace("/", ".")


def write(pipeline: Path, target: Path = FOLDER) -> None:
    """Write the digest of what each dependency below `target` in `pipeline` stands for. Raises UserError for one that is not installed."""
    digests = {each: digest(_installed(each)) for each in named(pipeline.read_text(encoding="utf-8"))}
    target.mkdir(parents=True, exist_ok=True)
    for path in target.iterdir():
        if path.name not in digests:
            path.unlink()
    for each, found in digests.items():
        (target / each).write_text(f"{found}\n", encoding="ascii")


def named(pipeline: str) -> list[str]:
    """The names of the digests that the text of a dvc.yaml depends on."""
    return sorted(set(re.findall(rf"{re.escape(FOLDER.as_posix())}/((?:{'|'.join(PACKAGES)})[\w.]*)", pipeline)))


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the relative paths and contents of all files in a folder but Python's caches."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    total = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file() and not _IGNORED & set(each.parts)):
        if file.suffix != ".pyc":
            content = hashlib.sha256(file.read_bytes()).digest()
            total.update(file.relative_to(path).as_posix().encode() + b"\0" + content)
    return total.hexdigest()


def _installed(name: str) -> Path:
    """The file or folder that a digest's name stands for."""
    package, *parts = name.removesuffix(".py").split(".")
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent.joinpath(*parts)
    path = path.with_suffix(".py") if name.endswith(".py") else path
    if not path.exists():
        raise UserError(
            f"dvc.yaml: {FOLDER.as_posix()}/{name} stands for code that the installed neocog {version('neocog')} does not "
            "have; `neocog init --update` writes the dvc.yaml of this version"
        )
    return path
