"""Stages in folders of their own, which hold what each stage declares and nothing else: an undeclared read fails there."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import neocog
from neocog.core.errors import UserError
from neocog.orchestration.parallel import steps
from neocog.orchestration.parallel.process import Running, Watchdog
from neocog.orchestration.parallel.process import wait as wait_for_processes
from neocog.orchestration.parallel.resources import Resources

FOLDER = Path(".dvc/tmp/stages")  # below .dvc/tmp a stage keeps its records in the project (tracking/address.py)
STATE = ".neocog"  # in a stage's folder: what it leaves there itself, to continue from when it is started again


@dataclass(frozen=True)
class Declared:
    """Paths that a stage declares, relative to the project: `wdir`, the dvc.yaml that defines it with files of params, other deps, outs,
    and those of them that it writes on."""

    wdir: str
    settings: tuple[str, ...]
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    persisted: tuple[str, ...]


def declared(stage: Any, *, outside: bool) -> Declared:
    """The paths of `stage`. Raises UserError for one outside of the project; `outside` allows those with a whole path (/data/images)."""
    from dvc.dependency.db import AbstractDependency
    from dvc.dependency.param import ParamsDependency

    root = Path(stage.repo.root_dir)

    def inside(item: Any) -> str | None:
        path = Path(item.fs_path)
        if item.protocol != "local" or (
            outside and Path(item.def_path).is_absolute() and not path.is_relative_to(root)
        ):
            return None
        if not path.is_relative_to(root):
            kind = stage.addressing.rpartition(":")[2].partition("@")[0]
            remedy = (
                "name it by its whole path"
                if outside
                else f"let it run here by `repro.resources.{kind}: {{local: true}}` in params.yaml"
            )
            raise UserError(
                f"dvc.yaml: {stage.addressing}: {item.def_path} is outside of the project, so a stage in a folder of its own "
                f"cannot have it; move it into the project, or {remedy}"
            )
        return path.relative_to(root).as_posix()

    files = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    deps = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency | AbstractDependency)]
    outs = [(out, path) for out in stage.outs if (path := inside(out))]
    return Declared(
        Path(stage.wdir).relative_to(root).as_posix(),
        (Path(stage.path).relative_to(root).as_posix(), *(path for each in files if (path := inside(each)))),
        tuple(path for each in deps if (path := inside(each))),
        tuple(path for _, path in outs),
        tuple(path for out, path in outs if out.persist),
    )


def prepare(folder: Path, has: Declared) -> None:
    """Make `folder` one in which nothing is but the folders that outs go into, and what the same stage has left in STATE."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.name != STATE:
            _remove(entry)
    for path in (has.wdir, *(str(PurePosixPath(out).parent) for out in has.outs)):
        (folder / path).mkdir(parents=True, exist_ok=True)


def code_packages(root: Path) -> list[Path]:
    """The folders of the packages that stages import beside their environment: neocog, and the project's pipelines."""
    found = [Path(neocog.__file__).parent]
    return found + [path for path in [root / "pipelines"] if (path / "__init__.py").exists()]


class IsolatedStages:
    """Runs each stage on this machine in a folder below FOLDER, and moves its outs into the project when it has ended well."""

    def start(
        self,
        stage: Any,
        commands: steps.Commands,
        *,
        asked: Resources,
        environment: Mapping[str, str],
        log: Path,
        watchdog: Watchdog,
    ) -> Running:
        """Fill the folder and start the commands in it. asked: resources, which the coordinator has looked after."""
        root = Path(stage.repo.root_dir)
        folder = root / FOLDER / log.stem
        has = declared(stage, outside=True)
        prepare(folder, has)
        for path in has.settings:
            _copy(root / path, folder / path)
        for path in has.deps:
            _link_tree(stage.repo, root / path, folder / path)
        for path in has.persisted:
            _copy(root / path, folder / path)
        code = root / FOLDER / ".code"
        code.mkdir(exist_ok=True)
        for package in code_packages(root):
            link = code / package.name
            if not (link.is_symlink() and link.readlink() == package):
                link.unlink(missing_ok=True)
                link.symlink_to(package)
        path = os.pathsep.join([str(code), *filter(None, [commands.popen["env"].get("PYTHONPATH")])])
        popen = {**commands.popen, "cwd": str(folder / has.wdir)}
        return _Isolated(
            stage.addressing,
            commands.commands,
            popen,
            environment={**environment, "PYTHONPATH": path},
            log=log,
            watchdog=watchdog,
            root=root,
            folder=folder,
            has=has,
        )

    def wait(self, running: list[Running], seconds: float) -> Mapping[str, int]:
        """Return when one of them has ended, or after `seconds`."""
        wait_for_processes(running, seconds)
        return {}


class _Isolated(Running):
    def __init__(self, *arguments: Any, root: Path, folder: Path, has: Declared, **more: Any) -> None:
        self._root, self._folder, self._has = root, folder, has
        super().__init__(*arguments, **more)

    def poll(self) -> int | None:
        before = self.code
        code = super().poll()
        if before is None and code == 0:
            for path in self._has.outs:
                take(self._folder / path, self._root / path)
            _remove(self._folder)
        return code


def take(source: Path, target: Path) -> None:
    """Move `source`, where there is one, into the place of `target`."""
    if source.exists() or source.is_symlink():
        _remove(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)


def _link_tree(repo: Any, source: Path, target: Path) -> None:
    """`source`, a file or a folder without what DVC ignores, as hard links where the disk allows."""
    for path in _files(repo, source):
        place = target / path.relative_to(source) if path != source else target
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path.resolve(strict=True), place)
        except OSError:
            shutil.copy2(path, place)
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)


def _files(repo: Any, source: Path) -> Iterator[Path]:
    if not source.is_dir():
        yield source
        return
    for folder, _, names in repo.dvcignore.walk(repo.fs, str(source)):
        yield from (Path(folder) / name for name in names)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
