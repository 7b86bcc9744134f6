"""Commands of stages as processes: each in a group of its own with a log file, and none outlives the process that started it."""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
GRACE = 10.0  # s between SIGTERM and SIGKILL for what is left when the coordinator has gone

# Reads "+<group>" and "-<group>" from standard input; at its end, all groups that were not taken back get SIGTERM, then SIGKILL.
_WATCHDOG = """
import os, signal, sys, time
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
def send(number):
    for group in list(groups):
        try:
            os.killpg(group, number)
        except OSError:
            groups.discard(group)
send(signal.SIGTERM)
end = time.monotonic() + GRACE
while groups and time.monotonic() < end:
    time.sleep(0.05)
    send(0)
send(signal.SIGKILL)
"""


class Watchdog:
    """A process that ends the groups it was told of when this one goes, however that happens.

    `held`: descriptors that it keeps open meanwhile: a lock is free only when no process of a stage is left.
    """

    def __init__(self, *held: int) -> None:
        program = _WATCHDOG.replace("GRACE", str(GRACE))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=held,
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """End `group` when this process goes."""
        self._say(f"+{group}\n")

    def leave(self, group: int) -> None:
        """Forget `group`: it has ended."""
        self._say(f"-{group}\n")

    def close(self) -> None:
        """End it, and with it what it still watches."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


class Running:
    """The commands of one stage, one after the other, until one fails. `log`: the file with all that they say."""

    def __init__(
        self,
        name: str,
        commands: list[list[str]],
        popen: Mapping[str, Any],
        *,
        environment: Mapping[str, str],
        log: Path,
        watchdog: Watchdog,
    ) -> None:
        self.name, self.log = name, log
        self.seconds = 0.0
        self.code: int | None = None
        self.command: list[str] = []
        self.cpu_seconds = 0.0
        self.cut = False  # whether commands were left out
        self._commands, self._popen, self._watchdog = commands, dict(popen), watchdog
        self._popen["env"] = {**popen["env"], **environment}
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = log.open("wb")
        self._began = time.monotonic()
        self._next()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def descriptor(self) -> int | None:
        """What is readable when the command has ended, where the system has such a thing."""
        return self._pidfd

    def _next(self) -> None:
        self.command = self._commands.pop(0)
        self._process = subprocess.Popen(
            self.command,
            **self._popen,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if _LIBC else None,  # noqa: PLW1509 - one system call, and this process has one thread
        )
        self._watchdog.watch(self.pid)
        self._pidfd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None

    def poll(self) -> int | None:
        """The exit code once all is done, else None."""
        while self.code is None:
            ended, status, usage = os.wait4(self.pid, os.WNOHANG)
            if not ended:
                return None
            self._process.returncode = code = os.waitstatus_to_exitcode(status)
            self.cpu_seconds += usage.ru_utime + usage.ru_stime
            if self._pidfd is not None:
                os.close(self._pidfd)
            if code != 0:
                self.send(signal.SIGKILL)  # what the command has left behind in its group
            self._watchdog.leave(self.pid)
            if code == 0 and self._commands:
                self._next()
            else:
                self.code, self.seconds = code, time.monotonic() - self._began
                self._file.close()
        return self.code

    def send(self, number: int) -> None:
        """Send a signal to all processes of the stage."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def stop(self) -> None:
        """Run no further command after the present one."""
        self.cut = self.cut or bool(self._commands)
        self._commands.clear()

    def last_lines(self, count: int) -> list[str]:
        """The last lines of its log."""
        with self.log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 400 * count))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return [line.rpartition("\r")[2] for line in lines if line.strip()][-count:]


def wait(running: Iterable[Running], seconds: float) -> None:
    """Return when one of them has ended, or after `seconds`."""
    descriptors = [each.descriptor for each in running]
    if not descriptors:
        return
    if any(descriptor is None for descriptor in descriptors):
        time.sleep(min(seconds, 0.02))
        return
    poller = select.poll()
    for descriptor in descriptors:
        assert descriptor is not None
        poller.register(descriptor, select.POLLIN)
    poller.poll(seconds * 1000)


def _end_with_parent() -> None:
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
