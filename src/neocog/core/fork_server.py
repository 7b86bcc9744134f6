"""Within one `dvc repro`, what takes long to import is imported once: the first process that needs it leaves a copy of itself, of which
every later one is a fork.

The copy has imported and done nothing else, so that each fork is as alone with its work as a process that was started. It ends with the
process that runs the stages (DVC), or after IDLE s in which nobody asked; where none answers, a process is started as ever.
"""

import errno
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
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import psutil

IDLE = 900.0  # s
ANSWER = 5.0  # s that a fork may take to say that it is there
_STAGE = "DVC_STAGE"  # DVC's word in the environment of each stage
RUNNER = "NEOCOG_RUNNER"  # in the environment of a fork: the process that runs the stages, which is no ancestor of it


class Lent:
    """A fork of the copy, with what `subprocess.Popen` has for whoever started a process."""

    def __init__(self, connection: socket.socket) -> None:
        self.pid = struct.unpack("i", connection.recv(4))[0]
        connection.setblocking(True)
        self.stdin: BinaryIO | None = None
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


def borrow(what: str, *arguments: Any, root: Path, descriptors: tuple[int, int, int]) -> Lent | None:
    """A fork, in the folder `root`, of the copy for `what` that an earlier stage has left; None where nobody answers.

    descriptors: what it reads from, writes to, and complains to. It has the environment of this process.
    """
    owner = runner()
    if owner is None:
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(ANSWER)
        connection.connect(name(owner, what))
        if peer(connection)[1] != os.getuid():
            raise PermissionError
        request = {"root": str(root), "arguments": arguments, "environment": {**os.environ, RUNNER: str(owner.pid)}}
        socket.send_fds(connection, [b"."], descriptors)
        connection.sendall(json.dumps(request).encode())
        connection.shutdown(socket.SHUT_WR)
        return Lent(connection)
    except (OSError, struct.error):
        connection.close()
        return None


def leave(what: str, prepare: Callable[[], object], serve: Callable[..., int]) -> bool:
    """Call `prepare`, and leave a copy of this process that runs `serve(connection, *arguments)` in a fork for each who asks.

    connection: to the process that asked. Does nothing outside of DVC's stages. Returns False, and does nothing, where there is a copy or
    another process is preparing one.
    """
    owner = runner()
    if owner is None or not hasattr(os, "pidfd_open"):
        return True
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            ended = os.pidfd_open(owner.pid)
            listener.bind(name(owner, what))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
        prepare()
        listener.listen()  # whoever asks from now on waits for the fork
        if child := os.fork():
            os.close(ended)
            os.waitpid(child, 0)
            return True
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
    listener.listen()  # again: what answers is this process, not the one that has forked it
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
        if peer(connection)[1] != os.getuid():
            return
        connection.settimeout(ANSWER)
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as file:
            request = json.loads(file.read())
        for number, descriptor in zip((0, 1, 2), descriptors, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["root"])
        connection.sendall(struct.pack("i", os.getpid()))
        connection.settimeout(None)
        ending = serve(connection, *request["arguments"])
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
        if RUNNER in os.environ:
            return psutil.Process(int(os.environ[RUNNER]))
        for process in psutil.Process().parents():
            try:
                if _STAGE not in process.environ():
                    return process
            except psutil.AccessDenied:
                return process
    return None


def name(owner: "psutil.Process", what: str) -> str:
    """In Linux' abstract namespace, where a name lasts as long as its owner. It tells apart containers, environments and code."""
    place = Path("/proc/self/ns/mnt").stat().st_ino, sys.prefix, str(Path(__file__).parent)
    return f"\0neocog-{what}-{os.getuid()}-{owner.pid}-{zlib.crc32(repr(place).encode()):08x}"


def peer(connection: socket.socket) -> tuple[int, int]:
    """The process at the other end when the connection was made, and its user."""
    return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[:2]
