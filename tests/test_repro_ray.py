"""`neocog repro --ray`: the DVC graph on a real Ray cluster of three nodes, each with its own folder and cache, and the same dvc.lock."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
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
from test_repro import entries, env, project
from waiting import wait_for

pytestmark = pytest.mark.slow
PORT_RANGE = 10_000


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
    nodes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def environment(self, name: str = "coordinator") -> dict[str, str]:
        own = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0"}
        own.pop("PYTHONPATH", None)  # the code travels
        return own | {"NEOCOG_NODE_FOLDER": str(self.folder / name), "HOME": str(self.folder / name)}

    def start(self, name: str, *arguments: str) -> None:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *arguments]
        self.nodes[name] = subprocess.Popen(
            command,
            cwd=self.folder / name,
            env=self.environment(name),
            stdout=(self.folder / f"{name}.log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def kill(self, name: str) -> None:
        """As a power cut would: every process of the node, at once."""
        process = self.nodes.pop(name)
        tree = [process, *psutil.Process(process.pid).children(recursive=True)]
        for each in tree:
            with suppress(psutil.Error, ProcessLookupError):
                each.kill()
        process.wait(30)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="nr-"))
    made = Cluster(folder, uuid.uuid4().hex * 2)
    port = free_port()
    made.address = f"127.0.0.1:{port}"
    made.start(
        "head",
        *("--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false", "--node-ip-address=127.0.0.1"),
        *(f"--ray-client-server-port={free_port()}", f"--temp-dir={folder}/r"),
    )
    try:
        assert wait_for(lambda: _listens(port), seconds=60, process=made.nodes["head"]), (
            folder / "head.log"
        ).read_text()
        for name in ("one", "two"):
            made.start(name, f"--address={made.address}", "--num-cpus=1", "--node-ip-address=127.0.0.1")
        yield made
    finally:
        for name in list(made.nodes):
            made.kill(name)
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_it(cluster, tmp_path):
    folder = project(tmp_path / "project")
    run(folder, "dvc", "remote", "add", "-d", "storage", str(tmp_path / "remote"))
    (tmp_path / "remote").mkdir()
    params = yaml.safe_load((folder / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"repro": {"wait_for_nodes": 120}}, allow_unicode=True))
    started = subprocess.run(
        [sys.executable, "-m", "neocog.cli.main", "repro", "--ray", cluster.address],
        cwd=folder,
        env=env(folder) | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": cluster.token},
        capture_output=True,
        text=True,
        timeout=200,
    )
    print(started.stdout, started.stderr)
    assert started.returncode == 0
    assert 0
