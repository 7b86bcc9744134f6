"""Find the commit that made a bundle: the first whose dvc.lock holds the hash of its folder.

The commit is not in the bundle, since equal runs of two commits must give equal bundles.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neocog.bundle import read
from neocog.bundle.read import CARD, GRAPH, WEIGHTS, Bundle
from neocog.core.errors import NeocogError
from neocog.reproduce.git import Project

How = Literal["lock", "run", "head", "asked"]
LOCK = "dvc.lock"


@dataclass(frozen=True)
class Origin:
    """The commit to run again. `how`: its dvc.lock has the bundle, the bundle's MLflow run names it, it is HEAD, it was asked for."""

    commit: str
    how: How

    @property
    def committed(self) -> bool:
        """Whether the commit itself says how the model is made; otherwise the bundle's own params hold."""
        return self.how in ("lock", "asked")


def find(bundle: Bundle, project: Project, *, cache: Callable[[], Path]) -> Origin:
    """The origin of `bundle`; `cache` tells DVC's cache folder and is only asked where hashes alone do not tell."""
    if commit := _in_history(bundle, project, cache):
        return Origin(commit, "lock")
    if commit := _of_run(bundle, project):
        return Origin(commit, "run")
    return Origin(project.commit("HEAD"), "head")


def _in_history(bundle: Bundle, project: Project, cache: Callable[[], Path]) -> str | None:
    """Branches, tags and DVC's experiments are searched, the oldest commit first."""
    ours = {name: _md5(bundle.folder / name) for name in (CARD, GRAPH, WEIGHTS)}
    folders = {folder_hash(ours), folder_hash(_listing(bundle.folder))}
    entry = re.compile(rf"- path: models/{re.escape(bundle.model)}\n\s+hash: md5\n\s+md5: (\w+)\.dir")
    told: dict[str, bool] = dict.fromkeys(folders, True)
    for commit in project.git("log", "--all", "--reverse", "--format=%H", "--", LOCK).split():
        for found in set(entry.findall(project.file(commit, LOCK) or "")):
            if found not in told:  # a registered model is a part of what `tune` and `compress` leave
                told[found] = ours.items() <= _cached(cache(), found).items()
            if told[found]:
                return commit
    return None


def _of_run(bundle: Bundle, project: Project) -> str | None:
    """The commit that the bundle's MLflow run was tagged with, if this repository has it."""
    from neocog.tracking import address

    if address.configured() == address.DEFAULT and not (project.folder / "mlflow.db").is_file():
        return None
    from neocog.tracking import registry

    try:
        with registry.opened() as mlflow:
            return project.commit(mlflow.commit_of(read.digest(bundle.folder)) or "-")
    except NeocogError:
        return None


def folder_hash(files: dict[str, str]) -> str:
    """DVC's hash of a folder of files: md5 by relative path."""
    listed = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def _cached(cache: Path, found: str) -> dict[str, str]:
    """Files of a folder by its hash, as DVC's cache lists them; none where it does not."""
    path = cache / "files" / "md5" / found[:2] / f"{found[2:]}.dir"
    listed: Iterable[dict[str, str]] = json.loads(path.read_text()) if path.is_file() else []
    return {each["relpath"]: each["md5"] for each in listed}


def _listing(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _md5(path) for path in folder.rglob("*") if path.is_file()}


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
