"""Connect to Ray: started on this machine, or a cluster joined by its address."""

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from neocog.core import private_apis
from neocog.core.errors import NeocogError, UserError
from neocog.tuning import local_ray


@contextmanager
def connected(address: str, *, runtime_env: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Ray, started here (`local`) or joined at `address` (`auto`, `host:port`, `ray://host:port`), and left again.

    Here it listens on the loopback alone. Elsewhere this code travels along, as a module of the runtime environment.
    Raises UserError when there is no cluster at `address`, NeocogError when Ray cannot be started here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # we write one table, not three a trial
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C would count as the end of the sweep
    import ray

    given: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    here = address == "local"
    code = local_ray.interpreter() if here else {"py_modules": [str(Path(__file__).parents[1])]}
    if runtime_env or code:
        given["runtime_env"] = {**code, **(runtime_env or {})}
    with ExitStack() as stack:
        if here:
            given |= stack.enter_context(local_ray.started())
        stack.callback(ray.shutdown)
        try:
            _knock(address)
            ray.init(address=address, **given)
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            reason = " ".join(str(error).split())[:300]
            if here:
                raise NeocogError(f"Ray did not start on this machine ({reason})") from error
            raise UserError(
                f"params.yaml: ray.address (={address!r}): no cluster answers ({reason}); start one with `ray start --head`, or write local"
            ) from error
        if here:
            local_ray.wait_for_a_worker()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        if address.startswith("ray://"):
            private_apis.set_ray_session_folder(folder)
        yield


def slots_for(needs: Mapping[str, float]) -> int:
    """How many processes with such `needs` (Ray's resources of each) the machines can run beside each other now, at least one."""
    import ray

    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = {name: amount for name, amount in needs.items() if amount}
    fits = (min((has.get(name, 0.0) // amount for name, amount in asked.items()), default=1.0) for has in machines)
    return max(1, int(sum(fits)))


def cpus_for(trainings: int) -> float:
    """CPUs that each of so many trainings can have when they run beside each other, each on one machine."""
    import ray

    machines = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    return float(max(1.0, min(max(machines), sum(machines) // trainings)))


def _knock(address: str) -> None:
    """Raise OSError when nobody listens there: Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10.0).close()
