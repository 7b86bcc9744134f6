"""Sweeps on clusters with real Ray: several processes a trial, a lost machine, a token, a Ray Client."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from itertools import product
from pathlib import Path

import psutil
import pytest
from listening import beyond_loopback
from test_tuning import Heard, job, run

from neocog.tuning import cluster

pytestmark = pytest.mark.slow


def test_one_trial_on_two_processes(digits, tmp_path):
    reached = []

    def look(_):
        reached.append(beyond_loopback(psutil.Process()))

    with cluster.connected("local"):
        heard = Heard(on_epoch=look)
        found = run(job(digits, tmp_path, epochs=2, processes=2, at_once=1), trials=1, listeners=[heard])
    assert reached == [set()] * 2
    assert [each.status for each in found] == ["finished"], [each.error for each in found]
    assert [len(each.rows) for each in found] == [2]


def test_a_lost_machine_is_made_up_for(digits, tmp_path):
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    lost = machines.add_node(num_cpus=1)
    machines.add_node(num_cpus=1)
    try:
        with cluster.connected(machines.address):
            gone, at_work = threading.Event(), set()

            def lose(one):
                at_work.add(one.number)
                if len(at_work) == 2 and not gone.is_set():  # one on each of the two machines
                    gone.set()
                    machines.remove_node(lost, allow_graceful=False)

            heard = Heard(on_epoch=lose)
            found = run(job(digits, tmp_path, epochs=60), trials=3, listeners=[heard])
            assert gone.is_set()
            noticed = time.monotonic() + 60  # Ray says so when the machine has missed its health checks
            while (alive := sum(node["Alive"] for node in ray.nodes())) > 2 and time.monotonic() < noticed:
                time.sleep(0.5)
            assert alive == 2, "the control: a machine is gone"
        assert [each.status for each in found] == ["finished"] * 3
        assert sorted(heard.rows) == sorted(product(range(3), range(1, 61)))
    finally:
        machines.shutdown()


CLIENT = """
import sys
from pathlib import Path
from neocog.data import prepared
from neocog.tuning import cluster
sys.path.insert(0, sys.argv[3])
with cluster.connected("ray://127.0.0.1:" + sys.argv[1]):
    import test_tuning
    found = test_tuning.run(test_tuning.job(prepared.read(sys.argv[4]), Path(sys.argv[2])), trials=2)
print([(one.status, len(one.rows)) for one in found])
"""


def free_port() -> str:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return str(any_port.getsockname()[1])


def test_a_cluster_with_a_token_serves_who_has_it_through_a_ray_client_too(digits, tmp_path):
    port, client = free_port(), free_port()
    inside = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2,
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
    }
    outside = inside | {"RAY_AUTH_TOKEN": uuid.uuid4().hex * 2}
    start = ["ray", "start", "--head", "--block", "--num-cpus=1", "--include-dashboard=false", f"--port={port}"]
    start += [
        f"--ray-client-server-port={client}",
        "--node-ip-address=127.0.0.1",
        f"--temp-dir={tempfile.mkdtemp(prefix='ray-')}",
    ]
    machine = subprocess.Popen(
        [Path(sys.executable).with_name("ray"), *start[1:]], env=inside, stdout=subprocess.DEVNULL
    )
    arguments = [
        sys.executable,
        "-c",
        CLIENT,
        client,
        str(tmp_path / "place"),
        str(Path(__file__).parent),
        str(digits.folder),
    ]
    try:
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(client)), timeout=1):
                break
            assert time.monotonic() < deadline and machine.poll() is None
            time.sleep(0.2)
        refused = subprocess.run(arguments, env=outside, capture_output=True, text=True, timeout=200, check=False)
        assert refused.returncode != 0 and "finished" not in refused.stdout
        served = subprocess.run(arguments, env=inside, capture_output=True, text=True, timeout=200, check=False)
        assert served.stdout.strip().endswith("[('finished', 3), ('finished', 3)]"), served.stdout + served.stderr
    finally:
        machine.terminate()
        machine.wait(30)
