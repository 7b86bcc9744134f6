"""A stage on a node of the cluster: a Ray actor that fetches what it declares, runs its commands in a folder, and stores its outs."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neocog.core import atomic
from neocog.orchestration.cluster import store
from neocog.orchestration.cluster.store import Content
from neocog.orchestration.parallel import scratch, usage
from neocog.orchestration.parallel.process import Running, Watchdog, wait
from neocog.tracking import journal

ANSWER = 5.0  # s after which a stage that says nothing reports that it is there
_EVERY = 0.2  # s between two looks at what it has said
_OF_RAY = ("RAY_", "PYTHONBREAKPOINT")  # variables of the environment that are the actor's own matter
_KEPT = ("RAY_AUTH_",)


@dataclass(frozen=True)
class StageRequest:
    """One stage to run: its commands (texts for a shell), paths, what it reads, further environment, and how to reach the store."""

    stage: str
    project: str
    commands: tuple[str, ...]
    paths: scratch.Declared
    files: Mapping[str, bytes]
    contents: tuple[Content, ...]
    environment: Mapping[str, str]
    store: Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """What has happened since the last: `said` by the commands; at the end an exit `code`, the `outs` if that is 0, and `records`: journals
    of MLflow runs that are still to be sent."""

    said: bytes = b""
    code: int | None = None
    command: tuple[str, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0
    outs: tuple[Content, ...] = ()
    records: Content | None = None


class StageOnNode:
    """The actor. It goes, and its commands with it, when the coordinator goes (decisions/0019)."""

    def __init__(self, request: StageRequest) -> None:
        self._progress = _run(request)

    def advance(self) -> Progress:
        """Work until there is something to tell, or for ANSWER s."""
        return next(self._progress)


def _run(request: StageRequest) -> Iterator[Progress]:
    yield Progress(said=f"on {os.uname().nodename}\n".encode())
    home = store.node_folder()
    base = home / "stages" / request.project
    name = request.stage.replace("/", "-").replace(":", "-")
    folder, log = base / name, base / f"{name}.log"
    with ExitStack() as stack:
        held = stack.enter_context(
            atomic.lock(base / f"{name}.lock")
        )  # maybe by an earlier start, which is being ended
        remote, cache = store.opened(request.store), store.local(home / "cache")
        scratch.prepare(folder, request.paths)
        for content in request.contents:
            store.get(content, remote, cache, folder)
        for path, text in request.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(text)
        before = _stamps(folder, request)
        watchdog = Watchdog(held.fileno())
        stack.callback(watchdog.close)
        running = _start(request, folder, log, watchdog)
        sampler, pids = usage.Sampler(), log.with_suffix(".pids")
        file, told = stack.enter_context(log.open("rb")), time.monotonic()
        while running.poll() is None:
            wait([running], _EVERY)
            sampler.sample({request.stage: (running.pid, pids)})
            said = file.read()
            if said or time.monotonic() - told > ANSWER:
                yield Progress(said, memory=sampler.usages[request.stage].memory)
                told = time.monotonic()
        measured: dict[str, Any] = {
            "code": running.code,
            "command": tuple(running.command),
            "seconds": running.seconds,
            "cpu_seconds": max(running.cpu_seconds, sampler.usages[request.stage].cpu_seconds),
            "memory": sampler.usages[request.stage].peak,
        }
        said = file.read()
        if changed := [path for path, stamp in _stamps(folder, request).items() if before.get(path) != stamp]:
            for content in request.contents:
                store.forget(content, cache, changed)
            said += f"\nneocog: {request.stage} has written into its dependencies: {', '.join(changed[:3])}\n".encode()
            measured["code"] = running.code or 1
        if list((folder / journal.FOLDER).glob("*.jsonl")):
            measured["records"] = store.put(folder, journal.FOLDER.as_posix(), remote)
        outs: tuple[Content, ...] = ()
        if measured["code"] == 0:
            there = [path for path in request.paths.outs if (folder / path).exists()]
            outs = tuple(store.put(folder, path, remote, cache=cache) for path in there)
            shutil.rmtree(folder, ignore_errors=True)
        yield Progress(said, outs=outs, **measured)


def _start(request: StageRequest, folder: Path, log: Path, watchdog: Watchdog) -> Running:
    from dvc.stage.run import _make_cmd, get_executable

    own = {name: value for name, value in os.environ.items() if not name.startswith(_OF_RAY) or name.startswith(_KEPT)}
    own["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", os.defpath)])
    own |= request.environment
    own |= {"DVC_ROOT": str(folder), usage.PIDS: str(log.with_suffix(".pids"))}
    return Running(
        request.stage,
        [_make_cmd(get_executable(), command) for command in request.commands],
        {"cwd": str(folder / request.paths.wdir), "env": own},
        environment={},
        log=log,
        watchdog=watchdog,
    )


def _stamps(folder: Path, request: StageRequest) -> dict[str, tuple[int, int]]:
    """Size and time of each file that the stage depends on and does not write itself."""
    found = {}
    for content in request.contents:
        if content.path in request.paths.persisted:
            continue
        path = folder / content.path
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                stat = file.stat()
                found[str(file.relative_to(folder))] = stat.st_size, stat.st_mtime_ns
    return found
