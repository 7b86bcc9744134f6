"""`neocog repro --ray`: the DVC graph on a real Ray cluster of three nodes, each with its own folder and cache, and the same dvc.lock."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from clones import environment, run
from imports import ROOT
from test_repro import entries
from waiting import wait_for

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


@dataclass
class Cluster:
    """A head without cores, and nodes with one each. A node's folder holds its cache, and lies beside no other's."""

    folder: Path
    token: str
    address: str = ""
    client: str = ""
    nodes: list[str] = field(default_factory=list)

    def environment(self, name: str = "coordinator") -> dict[str, str]:
        own = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0"}
        own.pop("PYTHONPATH", None)  # the code travels
        return own | {"NEOCOG_NODE_FOLDER": str(self.folder / name), "HOME": str(self.folder / name)}

    def start(self, name: str, *arguments: str) -> None:
        """Start a node and wait until it has joined."""
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        command = [str(Path(sys.executable).with_name("ray")), "start", *arguments]
        for _ in range(3):  # a busy machine may need longer than Ray waits
            with (self.folder / f"{name}.log").open("wb") as log:
                ended = subprocess.run(
                    command,
                    cwd=self.folder / name,
                    env=self.environment(name),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            if ended.returncode == 0:
                self.nodes.append(name)
                return
            self.kill(name)
        pytest.fail((self.folder / f"{name}.log").read_text())

    def kill(self, name: str) -> None:
        """As a power cut would: every process of the node, at once."""
        folder = str(self.folder / name)
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("NEOCOG_NODE_FOLDER") == folder:
                    process.kill()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="nr-"))
    made = Cluster(folder, uuid.uuid4().hex * 2)
    port, client = free_port(), free_port()
    made.address, made.client = f"127.0.0.1:{port}", f"ray://127.0.0.1:{client}"
    try:
        made.start(
            "head",
            *("--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false", "--node-ip-address=127.0.0.1"),
            *(f"--ray-client-server-port={client}", f"--temp-dir={folder}/r"),
        )
        for name in ("one", "two"):
            made.start(name, f"--address={made.address}", "--num-cpus=1", "--node-ip-address=127.0.0.1")
        yield made
    finally:
        for name in ("head", "one", "two"):
            made.kill(name)
        shutil.rmtree(folder, ignore_errors=True)


STAGE = """
import os, sys, time
from pathlib import Path
name, gate, *needs = sys.argv[1:]
text = name + "".join(Path(each).read_text() for each in needs)
Path(gate, f"{name}.{os.getpid()}").write_text(os.getcwd())
while Path(gate, f"hold-{name}").exists():
    time.sleep(0.02)
Path("out").mkdir(exist_ok=True)
Path(f"out/{name}").mkdir()
Path(f"out/{name}/text").write_text(text)
Path(f"{name}.json").write_text('{"length": %d}' % len(text))
with Path(gate, "ended").open("a") as log:
    log.write(f"{name} ")
"""
GRAPH = {"a": [], "b": ["a"], "c": ["a"], "d": ["b"], "e": [], "f": ["c", "d", "e"]}


def project(folder: Path, graph: dict[str, list[str]] = GRAPH, *, nodes: float = 120, **more: Any) -> Path:
    """A DVC project with a remote; `gate` beside it is a folder by which its stages can be held. nodes: s to wait for them."""
    gate, remote = folder.parent / "gate", folder.parent / "remote"
    for each in (folder, gate, remote):
        each.mkdir(exist_ok=True)
    (folder / "stage.py").write_text(STAGE)
    (folder / "params.yaml").write_text(yaml.safe_dump({"repro": {"wait_for_nodes": nodes}, "rate": 1e-05}))
    stages = {
        name: {
            "cmd": " ".join(
                [sys.executable, "-S stage.py", name, str(gate), *(f"out/{need}/text" for need in needs), "&& true"]
            ),  # two blanks where YAML folds the line would be one when DVC reads it again
            "deps": ["stage.py", *(f"out/{need}" for need in needs)],
            "params": ["rate"],
            "outs": [f"out/{name}"],
            "metrics": [{f"{name}.json": {"cache": False}}],
            **more.get(name, {}),
        }
        for name, needs in graph.items()
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    for command in ("git init -q", "git config user.email t@example.org", "git config user.name t", "dvc init -q"):
        run(folder, *command.split())
    run(folder, "dvc", "remote", "add", "-d", "storage", str(remote))
    return folder


def start(
    folder: Path, cluster: Cluster, *arguments: str, token: str = "", address: str = ""
) -> "subprocess.Popen[str]":
    own = environment(folder) | {"PYTHONPATH": str(ROOT / "src"), "RAY_AUTH_MODE": "token"}
    return subprocess.Popen(
        [sys.executable, "-m", "neocog.cli.main", "repro", "--ray", address or cluster.address, *arguments],
        cwd=folder,
        env=own | {"RAY_AUTH_TOKEN": token or cluster.token},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def held(folder: Path, stage: str) -> tuple[int, Path]:
    """Process and folder of a stage that waits at the gate."""

    def found() -> tuple[int, Path] | None:
        for path in (folder.parent / "gate").glob(f"{stage}.*"):
            pid, where = int(path.suffix[1:]), path.read_text()
            if where and psutil.pid_exists(pid):
                return pid, Path(where)
        return None

    at = wait_for(found, seconds=120)
    assert at
    return at


def ended(folder: Path) -> list[str]:
    """Stages that ran to their end since this was asked last."""
    log = folder.parent / "gate/ended"
    names = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return names


def test_a_lost_coordinator_and_a_lost_node_leave_the_dvc_lock_of_dvc_repro(cluster, tmp_path):
    folder, plain = project(tmp_path / "project", e={"meta": {"local": True}}), tmp_path / "plain"
    shutil.copytree(folder, plain)
    run(plain, "dvc", "repro", "-q")
    assert sorted(ended(folder)) == sorted(GRAPH)
    for path in (tmp_path / "gate").glob("*.*"):
        path.unlink()
    (tmp_path / "gate/hold-c").touch()
    with start(folder, cluster) as first:
        assert wait_for(
            lambda: (folder / "dvc.lock").exists() and len(entries(folder)) == 4, seconds=200, process=first
        )
        pid, where = held(folder, "c")
        first.kill()
        first.communicate(timeout=60)
    assert wait_for(lambda: not psutil.pid_exists(pid), seconds=60), "nothing is left of it on the node"
    assert sorted(ended(folder)) == ["a", "b", "d", "e"] == sorted(entries(folder))
    nodes = {path.name[0]: path.read_text().startswith(str(cluster.folder)) for path in (tmp_path / "gate").glob("*.*")}
    assert nodes == {"a": True, "b": True, "c": True, "d": True, "e": False}
    with start(folder, cluster) as second:
        pid, where = held(folder, "c")
        lost = where.relative_to(cluster.folder).parts[0]
        assert lost in cluster.nodes and not (where / "dvc.lock").exists()
        cluster.kill(lost)
        (tmp_path / "gate/hold-c").unlink()
        said, _ = second.communicate(timeout=200)
    assert second.returncode == 0, said
    assert "c has lost its node or worker" in said and "2 done" in said
    assert sorted(ended(folder)) == ["c", "f"]
    assert (folder / "dvc.lock").read_bytes() == (plain / "dvc.lock").read_bytes()
    for name in GRAPH:
        assert (folder / f"out/{name}/text").read_bytes() == (plain / f"out/{name}/text").read_bytes()
    assert "up to date" in run(folder, "dvc", "repro")


def test_through_a_client_and_a_shared_cache_and_what_cannot_run_there_is_said(cluster, tmp_path):
    graph = {"big": [], "sly": [], "far": [], "good": []}
    sly = {"cmd": f"{sys.executable} -S stage.py sly {tmp_path}/gate secret.txt"}
    folder = project(
        tmp_path / "project",
        graph,
        nodes=0,
        big={"meta": {"memory": "900G"}},
        sly=sly,
        far={"deps": [str(tmp_path / "there")]},
    )
    (folder / "secret.txt").touch()
    (tmp_path / "there").touch()
    with start(folder, cluster, "--keep-going", address=cluster.client) as started:
        said, _ = started.communicate(timeout=200)
    assert started.returncode == 255 and entries(folder) == ["good"] == ended(folder), said
    assert "big asks for 1 cores, 900 GiB of memory, and no node of the cluster has as much" in said
    assert "No such file or directory: 'secret.txt'" in said
    assert f"{tmp_path / 'there'} is outside of the project" in said and "repro.resources.far: {local: true}" in said
    with start(folder, cluster, token=uuid.uuid4().hex * 2) as stranger:
        said, _ = stranger.communicate(timeout=200)
    assert stranger.returncode == 2 and "no cluster answers" in said, said
    run(folder, "dvc", "remote", "remove", "storage")
    before, shared = (folder / "dvc.lock").read_bytes(), tmp_path / "shared"
    shared.mkdir()
    run(folder, "dvc", "cache", "dir", str(shared))
    with start(folder, cluster, "--force", "good") as sharing:
        said, _ = sharing.communicate(timeout=200)
    assert sharing.returncode == 0 and (folder / "dvc.lock").read_bytes() == before, said
    assert ended(folder) == ["good"] and (folder / "out/good/text").read_text() == "good"
