"""Within one `dvc repro`, mlflow is imported once: the first sender leaves a copy of itself, of which every later one is a fork.

What mlflow imports takes 3 s of CPU, beside a training that wants all of it. The copy has imported and done nothing else, so each
sender is as alone with its run as one that was started. It ends with the process that runs the stages (DVC), or after IDLE s in
which nobody asked; where none answers, a sender is started as ever.
"""

import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

IDLE = 900.0  # s
ANSWER = 5.0  # s that a fork may take to say that it is there
_STAGE = "DVC_STAGE"  # DVC's word in the environment of each stage


class Lent:
    """A sender forked off the copy, with what `subprocess.Popen` has for whoever started one."""

    def __init__(self, connection: socket.socket, stdin: int) -> None:
        self.pid = struct.unpack("i", connection.recv(4))[0]
        self.stdin = os.fdopen(stdin, "wb")
        connection.setblocking(True)
        self._connection = connection
        self._ending: int | None = None

    def poll(self) -> int | None:
        """Its exit code once it has ended, else None."""
        return self._read(socket.MSG_DONTWAIT)

    def wait(self) -> int | None:
        """Wait until it has ended."""
        return self._read(0)

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _read(self, flags: int) -> int | None:
        if self._ending is None:
            try:
                said = self._connection.recv(1, flags)
                self._ending = said[0] if said else -signal.SIGKILL
            except BlockingIOError:
                return None
            except ConnectionError:
                self._ending = -signal.SIGKILL
        return self._ending


def borrow(root: Path, *arguments: str) -> Lent | None:
    """A sender in the folder `root`, from the copy that an earlier stage has left; None where nobody answers."""
    owner = runner()
    if owner is None:
        return None
    theirs, ours = os.pipe()
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(ANSWER)
        connection.connect(name(owner))
        if peer(connection)[1] != os.getuid():
            raise PermissionError
        request = {"root": str(root), "arguments": arguments, "environment": dict(os.environ)}
        socket.send_fds(connection, [b"."], [theirs, 2])
        connection.sendall(json.dumps(request).encode())
        connection.shutdown(socket.SHUT_WR)
        return Lent(connection, ours)
    except (OSError, struct.error):
        connection.close()
        os.close(ours)
        return None
    finally:
        os.close(theirs)


def leave(prepare: Callable[[], None], serve: Callable[..., int]) -> None:
    """Call `prepare`, and leave a copy of this process that runs `serve(caller, *arguments)` in a fork for each who asks.

    caller: the process that asked. Does nothing outside of DVC's stages, or where there is a copy.
    """
    owner = runner()
    if owner is None or not hasattr(os, "pidfd_open"):
        return
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            ended = os.pidfd_open(owner.pid)
            listener.bind(name(owner))
        except OSError:
            return
        prepare()
        if child := os.fork():
            os.close(ended)
            os.waitpid(child, 0)
            return
        if os.fork():  # nobody's child, so that it is not counted among the processes of the stage
            os._exit(0)
        try:
            _stay(listener, ended, serve)
        finally:
            os._exit(0)


def _stay(listener: socket.socket, ended: int, serve: Callable[..., int]) -> None:
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    gc.freeze()  # a collection in a fork would copy every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener.listen()
    while select.select([listener.fileno(), ended], [], [], IDLE)[0] == [listener.fileno()]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os.close(ended)
            _lend(connection, serve)
        connection.close()


def _lend(connection: socket.socket, serve: Callable[..., int]) -> None:
    ending = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        caller, user = peer(connection)
        if user != os.getuid():
            return
        connection.settimeout(ANSWER)
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 2)
        with connection.makefile("rb") as file:
            request = json.loads(file.read())
        for number, descriptor in zip((0, 2), descriptors, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["root"])
        connection.sendall(struct.pack("i", os.getpid()))
        ending = serve(caller, *request["arguments"])
        with suppress(OSError):
            connection.sendall(bytes([ending]))
    finally:
        os._exit(ending)


def runner() -> "psutil.Process | None":
    """The process that runs the stages, of which this is one: the nearest ancestor that was not told a stage's name."""
    if sys.platform != "linux" or _STAGE not in os.environ:
        return None
    import psutil

    with suppress(psutil.Error):
        for process in psutil.Process().parents():
            try:
                if _STAGE not in process.environ():
                    return process
            except psutil.AccessDenied:
                return process
    return None


def name(owner: "psutil.Process") -> str:
    """In Linux' abstract namespace, where a name lasts as long as its owner. It tells apart containers, environments and code."""
    place = Path("/proc/self/ns/mnt").stat().st_ino, sys.prefix, str(Path(__file__).parent)
    return f"\0neocog-{os.getuid()}-{owner.pid}-{zlib.crc32(repr(place).encode()):08x}"


def peer(connection: socket.socket) -> tuple[int, int]:
    """The process at the other end when the connection was made, and its user."""
    return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[:2]
