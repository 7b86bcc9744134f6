"""Start Ray on this machine: it listens on the loopback, asks for a token of its own, and keeps its sockets in a short folder."""

import os
import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neocog.core import machine, private_apis
from neocog.core.errors import NeocogError, UserError

STORE = 128 << 20  # bytes of Ray's object store on this machine: trials share their data by memory map, not through it
ROOM = (
    24  # bytes of a folder for temporary files below which the paths of Ray's sockets still fit: the system takes 107
)
WAIT = 180.0  # s for the first worker
PREFIX = "nc"  # of the folder, and the process that made it
_LOOPBACK = (
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # off: Ray keeps 127.0.0.1, which it replaces by an outer address otherwise
)


@contextmanager
def started() -> Iterator[dict[str, Any]]:
    """Arguments with which `ray.init` starts Ray here; what it reads from the environment is set, and put back at the end."""
    _check_interpreter()
    place = short_folder()
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
    (folder / "token").touch(0o600)
    (folder / "token").write_text(secrets.token_hex(32))
    own = {
        _LOOPBACK: "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "RAY_AUTH_TOKEN": None,
    }
    before = _set(own)
    try:
        with private_apis.ray_on_loopback():
            yield {
                "include_dashboard": False,
                "object_store_memory": STORE,
                "_node_ip_address": "127.0.0.1",
                "_temp_dir": str(folder),
                "num_cpus": machine.cores(),
            }
    finally:
        _set(before)
        shutil.rmtree(folder, ignore_errors=True)


def interpreter() -> dict[str, str]:
    """What the runtime environment must say of this Python: its path, which Ray hands to a shell as it is."""
    quoted = shlex.quote(sys.executable)
    return {} if quoted == sys.executable else {"py_executable": quoted}


def wait_for_a_worker() -> None:
    """Raise NeocogError when no worker comes up: Ray itself would wait for ever."""
    import ray

    @ray.remote(num_cpus=0)
    def answer() -> bool:
        return True

    try:
        ray.get(answer.remote(), timeout=WAIT)
    except ray.exceptions.GetTimeoutError:
        raise NeocogError(
            f"ray.address (=local): no worker of Ray came up within {WAIT:.0f} s with {sys.executable}; "
            "on a busy machine the same command may do, else move the project to a folder with a plain name"
        ) from None


def short_folder() -> Path:
    """A folder for temporary files where Ray's sockets fit: the usual one, or a shorter one. Raises UserError when there is none."""
    usual = tempfile.gettempdir()
    for each in (usual, "/tmp", "/var/tmp", "/dev/shm"):
        plain = shlex.quote(each) == each and len(os.fsencode(each)) <= ROOM
        if plain and os.access(each, os.W_OK | os.X_OK):
            return Path(each)
    raise UserError(
        f"TMPDIR (={usual!r}) is too long for the sockets of Ray, and /tmp is not writable; "
        f"name a folder of at most {ROOM} letters, digits, - and _: TMPDIR=... dvc repro"
    )


def _check_interpreter() -> None:
    for character in "'\"\\\n":
        if character in sys.executable:
            raise UserError(
                f"{sys.executable!r}: Ray cannot start a Python whose path holds {character!r}; move the project to a folder without it"
            )


def _set(values: dict[str, str | None]) -> dict[str, str | None]:
    """Set or remove variables of the environment, and have Ray read them again; what they were."""
    before = {name: os.environ.get(name) for name in values}
    for name, value in values.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    private_apis.reread_ray_environment()
    return before


def _sweep(place: Path) -> None:
    """Remove what a kill -9 has left."""
    import psutil

    for each in place.glob(f"{PREFIX}[0-9]*-*"):
        maker = each.name.removeprefix(PREFIX).partition("-")[0]
        if maker.isdigit() and not psutil.pid_exists(int(maker)) and each.stat().st_uid == os.getuid():
            shutil.rmtree(each, ignore_errors=True)
