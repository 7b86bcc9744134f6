"""Stages on a Ray cluster, as the coordinator sees them: what the nodes have, and one actor for each stage that runs."""

import importlib.util
import os
import signal
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neocog.core.errors import NeocogError
from neocog.orchestration.cluster import node, store
from neocog.orchestration.cluster.nodes import Nodes
from neocog.orchestration.cluster.store import Content
from neocog.orchestration.parallel import scratch, steps
from neocog.orchestration.parallel.process import Running, Watchdog
from neocog.orchestration.parallel.process import wait as wait_for_processes
from neocog.orchestration.parallel.resources import Resources
from neocog.orchestration.parallel.scratch import IsolatedStages
from neocog.params import load
from neocog.tracking import address as tracking
from neocog.tracking import adopt, sync
from neocog.tracking.run import JOURNAL
from neocog.tuning import cluster

RETRIES = 3  # nodes or workers that a stage may lose
_HERE = 0.05  # s to wait for a stage on this machine while others are on nodes


@contextmanager
def joined(address: str, repo: Any, *, jobs: int, patience: float) -> Iterator[tuple[Nodes, "ClusterStages"]]:
    """The cluster at `address` and what runs the stages of `repo` there, until the block ends.

    jobs: stages at once (0: as many as the nodes have room for); patience: s that a stage waits for a node that is large enough.
    Raises UserError when no cluster answers, or when project and nodes have no store in common.
    """
    reach = store.settings(repo.config, repo.config.load_one("local"))
    objects = store.opened(reach)
    root = Path(repo.root_dir)
    packages = scratch.code_packages(root)
    if not any(each.name == "pipelines" for each in packages) and (found := importlib.util.find_spec("pipelines")):
        packages += [Path(each) for each in found.submodule_search_locations or ()]
    code = {
        "py_modules": [str(each) for each in packages],
        "excludes": ["**/__pycache__"],
        "env_vars": {"RAY_kill_child_processes_on_worker_exit": "0"},  # or the watchdog could not end what is left
    }
    with cluster.connected(address, runtime_env=code):
        nodes = Nodes(jobs)
        stages = ClusterStages(objects, reach, nodes, patience)
        try:
            yield nodes, stages
        finally:
            stages.close()


class OnNode(Running):
    """A stage on some node. Its outs are in the project once `poll` says 0."""

    def __init__(
        self, stage: Any, request: node.StageRequest, asked: Resources, log: Path, stages: "ClusterStages"
    ) -> None:
        self.name, self.log, self.request, self.asked = stage.addressing, log, request, asked
        self.seconds, self.cpu_seconds, self.cut = 0.0, 0.0, False
        self.code: int | None = None
        self.command = [request.commands[0]]
        self.memory = 0
        self.stage, self.stages = stage, stages
        self.answer: Any = None  # what is awaited of the actor
        self.waits_since: float | None = None  # for a node
        self.lost = 0
        self._placed = False
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        self.submit()

    @property
    def pid(self) -> int:
        """None of this machine."""
        return 0

    @property
    def descriptor(self) -> int | None:
        return None

    def submit(self) -> None:
        """Ask Ray for a place."""
        import ray

        needs = dict(self.stages.nodes.needs(self.asked))
        options: dict[str, Any] = {
            "num_cpus": needs.pop("CPU", 0),
            "num_gpus": needs.pop("GPU", 0),
            "memory": needs.pop("memory", None),
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        kind: Any = ray.remote(node.StageOnNode)
        self.actor = kind.options(**options).remote(self.request)
        self.waits_since = time.monotonic()
        self.answer = self.actor.advance.remote()

    def hear(self) -> None:
        """Take the answer of the actor, which is there."""
        import ray
        from ray import exceptions

        try:
            progress: node.Progress = ray.get(self.answer)
        except exceptions.RayTaskError as error:
            self.say(f"neocog: {self.name}: {error.cause}\n")
            self._end(1)
        except (exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.NodeDiedError) as error:
            self._again(" ".join(str(error).split())[:200])
        except exceptions.OutOfMemoryError:
            self._again("out of memory")
        except exceptions.RayError as error:
            self.say(f"neocog: {self.name}: {' '.join(str(error).split())[:400]}\n")
            self._end(1)
        else:
            self.waits_since = None
            self.say(progress.said)
            self.memory = progress.memory
            if progress.code is None:
                self.answer = self.actor.advance.remote()
                return
            self.command, self.seconds, self.cpu_seconds = (
                list(progress.command),
                progress.seconds,
                progress.cpu_seconds,
            )
            self.outs = progress.outs
            if progress.records:
                self.stages.adopt(self.stage, progress.records)
            self._end(progress.code)

    def say(self, text: str | bytes) -> None:
        """Add to the log."""
        with self.log.open("ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)

    def give_up(self, sentence: str) -> None:
        """End it, as there is no node for it."""
        self.say(sentence + "\n")
        self._end(1)

    def poll(self) -> int | None:
        if self.code == 0 and not self._placed:
            self._placed = True
            self.stages.place(self.stage, self.outs)
        return self.code

    def send(self, number: int) -> None:
        """End it: the node's watchdog sends SIGTERM to the commands, and kills what is left after some seconds."""
        if self.code is None:
            self._end(-number)

    def stop(self) -> None:
        """Nothing: what is sent ends all commands."""

    def _again(self, why: str) -> None:
        self.lost += 1
        if self.lost > RETRIES:
            self.say(f"neocog: {self.name} has lost its node or worker {self.lost} times (the last time: {why})\n")
            self._end(1)
            return
        self.say(
            f"neocog: {self.name} has lost its node or worker ({why}); it starts again, {self.lost} of {RETRIES}\n"
        )
        self._kill()
        self.submit()

    def _end(self, code: int) -> None:
        self.code, self.answer = code, None
        self._kill()

    def _kill(self) -> None:
        import ray

        with suppress(Exception):  # gone already
            ray.kill(self.actor)


@dataclass
class ClusterStages:
    """Runs stages on the nodes; `objects` is the store, `reach` how nodes open it."""

    objects: Any
    reach: Mapping[str, Any]
    nodes: Nodes
    patience: float
    _running: list[OnNode] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)  # MD5s that the store has
    _adopted: Path | None = None  # the project, once there are records to send

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
        """Hand the stage to Ray, or start it here. Raises UserError when it reads what is outside of the project."""
        from dvc.stage.run import _enforce_cmd_list

        if asked.local:
            self._send(Path(stage.repo.root_dir))  # it may look at the runs of others
            given: dict[str, Any] = {"asked": asked, "environment": environment, "log": log, "watchdog": watchdog}
            return IsolatedStages().start(stage, commands, **given)
        root, has = Path(stage.repo.root_dir), scratch.declared(stage, outside=False)
        read = [*has.deps, *(path for path in has.persisted if (root / path).exists())]
        changed = {
            name: value
            for name, value in commands.popen["env"].items()
            if os.environ.get(name) != value and name != "DVC_ROOT"
        }
        request = node.StageRequest(
            stage.addressing,
            f"{root.name}-{zlib.crc32(str(root).encode()):08x}",
            tuple(_enforce_cmd_list(stage.cmd)),
            has,
            {path: (root / path).read_bytes() for path in has.settings if (root / path).exists()},
            tuple(self._put(stage.repo, root, path) for path in read),
            {**changed, **_told_of_here(), **environment},
            self.reach,
        )
        running = OnNode(stage, request, asked, log, self)
        self._running.append(running)
        return running

    def wait(self, running: list[Running], seconds: float) -> Mapping[str, int]:
        """Return when a stage has said something, or after `seconds`; the memory of each, in bytes."""
        import ray

        waiting = {each.answer: each for each in self._running if each.answer is not None}
        ready, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=0) if waiting else ([], [])
        here = [each for each in running if not isinstance(each, OnNode)]
        if here:
            wait_for_processes(here, min(seconds, _HERE) if waiting else seconds)
        elif not ready and waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1, timeout=seconds)
        for answer in ready:
            waiting[answer].hear()
        for each in waiting.values():
            since = each.waits_since
            if (
                each.code is None
                and since is not None
                and time.monotonic() - since >= self.patience
                and not self.nodes.holds(each.asked)
            ):
                each.give_up(self.nodes.sentence(each.name, each.asked))
        self._running = [each for each in self._running if each.code is None]
        self.nodes.held = any(each.asked.exclusive and each.waits_since is not None for each in self._running)
        return {each.name: each.memory for each in waiting.values()}

    def place(self, stage: Any, outs: tuple[Content, ...]) -> None:
        """Fetch the outs of `stage` from the store into the project."""
        repo = stage.repo
        root, cached = Path(repo.root_dir), {out.fs_path: out.use_cache for out in stage.outs}
        with tempfile.TemporaryDirectory(dir=repo.tmp_dir) as folder:
            self._known.update(content.md5 for content in outs)
            for content in outs:
                own = cached.get(str(root / content.path))
                store.get(content, self.objects, repo.cache.local if own else store.local(Path(folder)), root)

    def adopt(self, stage: Any, records: Content) -> None:
        """Take over the MLflow runs of `stage`, which are sent from here."""
        repo = stage.repo
        with tempfile.TemporaryDirectory(dir=repo.tmp_dir) as folder:
            store.get(records, self.objects, store.local(Path(folder) / "cache"), Path(folder))
            adopt(Path(folder) / records.path, Path(repo.root_dir))
        self._adopted = Path(repo.root_dir)

    def close(self) -> None:
        """End what still runs, and send MLflow what was taken over."""
        for each in self._running:
            each.send(signal.SIGTERM)
        if self._adopted is not None:
            self._send(self._adopted)

    def _send(self, root: Path) -> None:
        """Send the records of stages to MLflow."""
        if self._adopted is not None:
            self._adopted = None
            with chdir(root):
                sync()

    def _put(self, repo: Any, root: Path, path: str) -> Content:
        if not (root / path).exists():
            raise NeocogError(f"{path} is missing")
        given = {"hashes": repo.cache.local, "ignore": repo.dvcignore, "known": self._known}
        content = store.put(root, path, self.objects, **given)
        self._known.add(content.md5)
        return content


def _told_of_here() -> dict[str, str]:
    """Environment of stages: where they send MLflow runs (no credentials: each node has its own), and that a sweep stays on its node.

    Without a server their journals come back and are sent from here.
    """
    place = tracking.place(tracking.configured())
    runs = {"MLFLOW_TRACKING_URI": place} if place.startswith("http") else {JOURNAL: "1"}
    return {**runs, load.RAY_ADDRESS: "local"}
