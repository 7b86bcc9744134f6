"""Stages on a Ray cluster, as the coordinator sees them: what the nodes have, and one actor for each stage that runs."""

import importlib.util
import os
import signal
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neocog.core.errors import NeocogError
from neocog.orchestration.cluster import node, store
from neocog.orchestration.cluster.nodes import Nodes
from neocog.orchestration.cluster.on_node import OnNode
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
