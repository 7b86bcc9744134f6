"""Run one stage again in a worktree: its inputs from DVC's cache (else from the remote, else made), then the stage itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from neocog.core import params_yaml
from neocog.core.errors import NeocogError
from neocog.reproduce.origin import LOCK
from neocog.reproduce.plan import Plan, first_weights_file

TOLD = 30  # lines of a failing command that are shown
Say = Callable[[str], None]


@dataclass(frozen=True)
class Copy:
    """The project in a worktree. `threads`: CPU threads that what runs there may use, 0 = all."""

    folder: Path
    threads: int
    say: Say

    def dvc(self, *arguments: str) -> None:
        """Run DVC there, with this Python and the code of that commit. Raises NeocogError with the end of what it says."""
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **self._own_code(),
            "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",  # the worktree's own: it leaves no run behind
            "DVC_NO_ANALYTICS": "1",
        }
        for name in ("DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            environment.pop(name, None)
        command = [sys.executable, "-c", _LAUNCH, str(self.threads), *arguments]
        self.say(f"dvc {' '.join(arguments)}")
        started = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that it can be ended with all that it has started
        )
        output: list[str] = []
        try:
            assert started.stdout is not None
            for line in started.stdout:
                output = [*output[1 - TOLD :], line.rstrip()]
                if line.strip():
                    self.say(line.strip()[:100])
            started.wait()
        finally:
            _end(started)
        if started.returncode:
            raise NeocogError(f"dvc {' '.join(arguments)} failed in {self.folder}:\n" + "\n".join(output))

    def _own_code(self) -> dict[str, str]:
        """The environment in which the code of that commit is imported; a project beside an installed neocog has none of its own."""
        source = self.folder / "src"
        return {"PYTHONPATH": str(source)} if (source / "neocog").is_dir() else {}


_LAUNCH = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)  # SIGTERM when who started it is gone, even by kill -9
threads = int(sys.argv.pop(1))
if threads and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
from dvc.cli import main
sys.exit(main(sys.argv[1:]))
"""


def rerun(plan: Plan, copy: Copy, *, cache: Path) -> Path:
    """Make the model of `plan` again; the folder of the new bundle. Nothing is added to DVC's cache but what a remote still has."""
    _settings(plan, copy, cache)
    if not plan.origin.committed:
        _own_params(plan, copy.folder / "params.yaml")
    if begun := first_weights_file(plan):
        _link(begun, copy.folder / plan.bundle.card["provenance"]["params"]["architecture"]["weights"])
    needed = _needed(copy.folder, plan.stage)
    if needed is None:  # no lock file has heard of the stage
        copy.dvc("repro", "--no-commit", "--", plan.stage)
    else:
        for path, maker in needed.items():
            _restore(plan, copy, path, maker)
        copy.dvc("repro", "--single-item", "--force", "--no-commit", "--no-run-cache", "--", plan.stage)
    return copy.folder / plan.out


def cache_of(folder: Path) -> Path:
    """The project's DVC cache, where its configuration has it. Raises NeocogError."""
    ended = subprocess.run(
        [sys.executable, "-m", "dvc", "cache", "dir"], cwd=folder, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise NeocogError(f"dvc cache dir: {ended.stderr.strip()}")
    return folder / ended.stdout.strip()


def _settings(plan: Plan, copy: Copy, cache: Path) -> None:
    """The user's own DVC settings (remotes, credentials) and the shared cache; of what is not committed, the lock file."""
    own = plan.project.folder / ".dvc" / "config.local"
    if own.is_file():
        (copy.folder / ".dvc" / "config.local").write_bytes(own.read_bytes())
    copy.dvc("config", "--local", "cache.dir", str(cache.resolve()))
    lock = plan.project.folder / LOCK
    if not plan.origin.committed and lock.is_file():
        (copy.folder / LOCK).write_bytes(lock.read_bytes())


def _own_params(plan: Plan, path: Path) -> None:
    """Put what the bundle's card says of its params into params.yaml, as far as it can be put there."""
    recorded = plan.bundle.card["provenance"]["params"]
    params = params_yaml.read(path)
    name = plan.bundle.name
    if "compress" in recorded:
        block = {key: value for key, value in recorded["compress"].items() if key != "parent"}
        params.setdefault("compress", {})[name] = block
    elif "tune" in recorded:  # its `train` is the winner's: the search began from params.yaml
        params["tune"] = {**params.get("tune", {}), **recorded["tune"]}
    else:
        _put_recipe(params, name, recorded)
    path.write_text(params_yaml.dump(params), encoding="utf-8")


def _put_recipe(params: dict[str, Any], name: str, recorded: Mapping[str, Any]) -> None:
    sizes = {key: value for key, value in recorded["architecture"].items() if key != "name"}
    own = {key: value for key, value in recorded["train"].items() if params["train"].get(key) != value}
    named = {} if (architecture := recorded["architecture"]["name"]) == name else {"architecture": architecture}
    params["architectures"][name] = {**named, **sizes, **own}


def _needed(folder: Path, stage: str) -> dict[str, str] | None:
    """Outputs of other stages that the stage reads, each with the stage that makes it; None where the lock has no such stage."""
    lock = folder / LOCK
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    stages = yaml.load(lock.read_text(encoding="utf-8"), Loader=loader)["stages"] if lock.is_file() else {}
    if stage not in stages:
        return None
    makers = {out["path"]: name for name, each in stages.items() for out in each.get("outs", ())}
    deps = [Path(dep["path"]) for dep in stages[stage].get("deps", ())]  # a file may lie in another stage's folder
    return {out: name for out, name in makers.items() if any(dep.is_relative_to(out) for dep in deps)}


def _restore(plan: Plan, copy: Copy, path: str, maker: str) -> None:
    for how in ("checkout", "pull"):
        try:
            copy.dvc(how, "--", path)
            return
        except NeocogError:
            continue
    _link_raw(plan.project.folder, copy.folder)
    copy.dvc("repro", "--no-commit", "--", maker)


def _link_raw(project: Path, folder: Path) -> None:
    """Let `prepare` find in the worktree the source files that lie beside the project and not in git."""
    root = params_yaml.read(folder / "params.yaml")["data"]["root"]
    if Path(root).expanduser().is_absolute() or not (project / root).is_dir():
        return
    (folder / root).mkdir(parents=True, exist_ok=True)
    for each in (project / root).iterdir():
        if not (folder / root / each.name).exists():
            (folder / root / each.name).symlink_to(each.resolve())


def _link(source: Path, target: Path) -> None:
    """Let a file that no commit has be found in the worktree too."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve())


def _end(started: subprocess.Popen) -> None:
    """End a process with its whole group: first asked, then told."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if started.poll() is None:
            try:
                os.killpg(started.pid, number)
                started.wait(timeout=10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
    if started.stdout is not None:
        started.stdout.close()
