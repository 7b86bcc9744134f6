"""Sweeps on this machine: reachable by nobody else, in folders of any name, and interrupted by Ctrl-C."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from listening import beyond_loopback
from waiting import wait_for

from neocog.core.errors import NeocogError, UserError
from neocog.tuning import cluster, local_ray

ODD = "50% 'done' & x#y?$HOME; grün"
SWEEP = """
import json, os, stat, subprocess, sys
from pathlib import Path
import psutil
from listening import beyond_loopback
from neocog.tuning import cluster
with cluster.connected("local"):
    import ray
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    join = f"import ray; ray.init(address={ray.get_runtime_context().gcs_address!r}, logging_level='CRITICAL')"
    stranger = {**os.environ, "RAY_AUTH_TOKEN": "0" * 64}
    said = subprocess.run([sys.executable, "-c", join], env=stranger, capture_output=True, text=True)
    found = {
        "reached": sorted(beyond_loopback(psutil.Process())),
        "mode": stat.S_IMODE(token.stat().st_mode),
        "stranger": said.stderr[-2000:] if said.returncode else "",
        "folder": str(token.parent),
        "python": ray.get(ray.remote(lambda: sys.executable).remote()),
    }
print(json.dumps({**found, "left": token.parent.exists()}))
"""


def test_a_short_folder_is_found_for_a_long_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / "people/a1234567/slurm_jobdir/1355700/tmp.node0016"
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert len(os.fsencode(local_ray.short_folder())) <= local_ray.ROOM < len(os.fsencode(long))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match=r"TMPDIR \(='.*tmp.node0016'\) is too long .* at most 24"):
        local_ray.short_folder()


def test_a_quote_in_the_path_of_python_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/home/o'neill/.venv/bin/python")
    with pytest.raises(UserError, match="move the project to a folder without it"), cluster.connected("local"):
        pass


def test_a_listening_socket_is_seen() -> None:
    """The control of the tests of what listens."""
    before = beyond_loopback(psutil.Process())
    with socket.create_server(("", 0)) as outer, socket.create_server(("127.0.0.1", 0)) as inner:
        found = beyond_loopback(psutil.Process()) - before
        assert {port for _, port in found} == {outer.getsockname()[1]} and inner


@pytest.mark.slow
def test_a_sweep_in_an_odd_folder_is_reached_by_nobody_else(tmp_path: Path) -> None:
    home = tmp_path / ODD.replace("'", "")
    (home / "people/a1234567/slurm_jobdir/1355700/tmp.node0016").mkdir(parents=True)
    (home / ".venv").symlink_to(sys.prefix)
    own = {
        **os.environ,
        "TMPDIR": str(home / "people/a1234567/slurm_jobdir/1355700/tmp.node0016"),
        "PYTHONPATH": os.pathsep.join([str(Path(cluster.__file__).parents[2]), str(Path(__file__).parent)]),
    }
    command = [home / ".venv/bin/python", "-c", SWEEP]
    ended = subprocess.run(command, cwd=home, env=own, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["reached"] == []
    assert found["mode"] == 0o600
    assert "uthenticat" in found["stranger"], "who has another token is sent away"
    assert found["python"] == str(home / ".venv/bin/python")
    assert not found["left"]


@pytest.mark.slow
def test_no_worker_is_an_error_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_ray, "WAIT", 5.0)
    with (
        pytest.raises(NeocogError, match="no worker of Ray came up within 5 s"),
        cluster.connected("local", runtime_env={"py_executable": "/bin/false"}),
    ):
        pass


INTERRUPTED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_tuning
from neocog.data import prepared
from neocog.core.errors import run
from neocog.tuning import cluster
def sweep():
    with cluster.connected("local"):
        test_tuning.run(test_tuning.job(prepared.read(sys.argv[2]), Path(sys.argv[3]), epochs=2000), trials=6)
    print("the sweep is taken for finished")
run(sweep)
"""


@pytest.mark.slow
def test_ctrl_c_ends_a_sweep_and_finishes_no_trial(digits, tmp_path: Path) -> None:
    place = tmp_path / "place"
    command = [sys.executable, "-c", INTERRUPTED, Path(__file__).parent, digits.folder, place]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert wait_for(lambda: len(list(place.glob("*/epoch-*.ckpt"))) >= 1, seconds=120, process=started)
    family = psutil.Process(started.pid).children(recursive=True)
    started.send_signal(signal.SIGINT)
    said, complained = started.communicate(timeout=120)
    assert started.returncode == 130, complained
    assert said == "" and "the same command continues" in complained
    assert {json.loads(path.read_text())["status"] for path in place.glob("*.json")} == {"running"}
    assert not psutil.wait_procs(family, timeout=60)[1]
    shutil.rmtree(place)
