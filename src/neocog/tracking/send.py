"""Sender process: delivers journals to MLflow, one process for each live run and one for leftover journals."""

import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from neocog.core.fork_server import leave, peer
from neocog.tracking import address
from neocog.tracking.adopt import commit
from neocog.tracking.journal import COPY, FOLDER, SENDER, WRITER, Journal, journals, waiting

if TYPE_CHECKING:
    from neocog.tracking.store import Store

SENT, LEFT, BROKEN = 0, 3, 70  # exit codes
PAUSE, LONGEST_PAUSE = 0.25, 30.0  # s between looks at the journal; at most, between attempts that fail
TIMEOUT, LONGEST_TIMEOUT = 8.0, 60.0  # s a request: at first, after failures
ATTEMPTS = 2  # failures in a row that end it, once the run is over
SWEEPING = 5.0  # s, once the run is over, for what others left behind
SAMPLING = 5.0  # s between samples of the machine
STARTING = 60.0  # s to import mlflow on a busy machine
SCHEMA = 180.0  # s to create a database's schema, in line with others


class Sender:
    """Sends the journals under `root` for the process `caller`, with this process's error output for its own few sentences only."""

    def __init__(self, root: Path, caller: int) -> None:
        self._root = root
        self._folder = root / FOLDER
        self._stores: dict[str, Store] = {}
        self._said: set[str] = set()
        self._usual_timeout = self._timeout = float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT") or TIMEOUT)
        self._caller = caller
        self._stderr = os.dup(2)
        self._nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(self._nowhere, 2)

    def serve(self, run: str, code: Path) -> int:
        """Send the run's journal, and those of its parts, until it has ended and all is sent. Returns an exit code.

        code: the folder whose git commit is the run's.
        """
        own = Journal(self._folder, run)
        self._write(own, tags=commit(code))
        stop = threading.Event()
        sampling = threading.Thread(target=self._sample, args=(own, stop), daemon=True)
        sampling.start()

        def end_sampling() -> None:
            stop.set()
            sampling.join(timeout=2.0)

        others = self.sweep(but=run)
        failures = looks = 0
        while True:
            over = self._over(own)
            try:
                done = self._attend(own, at_end=end_sampling) and self._parts(run)
                failures, self._timeout = 0, self._usual_timeout
            except Exception as error:
                self._say(own, error)
                failures += 1
                done = False
            if done:
                break
            if over:
                looks += 1
                if (
                    failures >= ATTEMPTS or looks > ATTEMPTS or own.written()
                ):  # nobody answers; or another has resumed it
                    return LEFT
                time.sleep(1.0)
            elif failures:
                self._wait(own, min(LONGEST_PAUSE, 2.0**failures))
            else:
                next(others, None)
                self._wait(own, PAUSE)
        until = time.monotonic() + SWEEPING
        while time.monotonic() < until and next(others, None):
            pass
        return SENT

    def sweep(self, *, but: str = "") -> Iterator[Journal]:
        """Send what dead writers left: a run without an ending was KILLED. Yields each journal that it has tried."""
        silent: set[str] = set()
        for journal in journals(self._folder):
            place = journal.begin().get("place", "")
            if journal.run == but or place in silent or journal.written():
                continue
            try:
                self._attend(journal)
            except Exception as error:
                self._say(journal, error)
                silent.add(place)
            yield journal

    def _attend(self, journal: Journal, *, at_end: Callable[[], None] = lambda: None) -> bool:
        """Send what is new in one journal; one that is complete is deleted. True when nothing of it is left.

        at_end: called before the last of a journal whose writer is done is sent.
        """
        sent = journal.sent()
        if not journal.size():
            return True
        if sent.offset == journal.size() and not sent.ended and not journal.attached() and journal.written():
            return False
        while not journal.lock(SENDER, seconds=0.5):
            if time.time() > journal.sent().until:
                return False
        try:
            begin = journal.begin()
            over = journal.lock(WRITER)  # its writer is done, or dead
            if over:
                at_end()
                if not journal.ended():
                    last = max((event.get("t", 0) for event, _ in journal.events()), default=0)
                    journal.append(end="KILLED", t=last)
                journal.unlock(WRITER)
            if not begin:  # killed within its first line: there is nothing to send
                journal.delete()
                return True
            if self._deliver(journal, begin["place"]) and over and journal.lock(WRITER):
                if journal.sent().offset == journal.size():  # nobody has resumed it meanwhile
                    journal.delete()
                journal.unlock(WRITER)
            return not journal.size()
        except Exception:
            self._timeout = min(LONGEST_TIMEOUT, self._timeout * 2)
            with suppress(OSError):
                journal.mark(journal.sent(), failing=True)
            raise
        finally:
            journal.unlock(SENDER)

    def _deliver(self, journal: Journal, place: str) -> bool:
        address.knock(place, seconds=self._timeout)
        if place not in self._stores:
            journal.mark(journal.sent(), until=time.time() + STARTING + SCHEMA)
        from neocog.tracking.deliver import ParentPendingError, deliver
        from neocog.tracking.store import Store

        if place not in self._stores:
            self._stores[place] = Store(place, self._root)
        store = self._stores[place]
        try:
            with store.open(self._timeout):
                return deliver(journal, store, timeout=self._timeout)
        except ParentPendingError:
            return False
        finally:
            while store.refused:
                self._print(f"neocog: tracking: {store.refused.pop()}")

    def _parts(self, run: str) -> bool:
        """Send the runs that are parts of `run`. True when all that have ended are sent."""
        parts = [journal for journal in journals(self._folder) if journal.begin().get("parent") == run]
        sent = [self._attend(journal) or journal.written() for journal in parts]
        return all(sent)

    def _over(self, own: Journal) -> bool:
        """Whether the caller is done with its run, or dead. It closes its end of the pipe; a fork may hold that open."""
        if _has_ended(self._caller):
            os.dup2(self._nowhere, self._stderr)  # whoever reads the caller's output need not wait for us
            return True
        return bool(select.select([0], [], [], 0)[0]) or not own.written()

    def _wait(self, own: Journal, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._over(own) and time.monotonic() < deadline:
            select.select([0], [], [], min(0.5, seconds))

    def _sample(self, journal: Journal, stop: threading.Event) -> None:
        from neocog.tracking.system import SystemSampler

        began = journal.begin().get("begun", 0) / 1000
        sampler = SystemSampler(self._caller)
        taken, pause = 0, 1.0
        while not stop.wait(pause) or not taken:
            self._write(journal, metrics=sampler.sample(), step=int((time.time() - began) / SAMPLING))
            taken, pause = taken + 1, SAMPLING

    def _write(self, journal: Journal, **event: object) -> None:
        """Add an event to a journal that is there; a full disk is its writer's to report."""
        with suppress(OSError):
            if journal.size():
                journal.append(**event)

    def _say(self, journal: Journal, error: Exception) -> None:
        """One sentence a place."""
        place = journal.begin().get("place", "the tracking server")
        if place not in self._said:
            self._said.add(place)
            reason = "does not answer" if _unanswered(error) else f"takes no records ({address.one_line(error)})"
            self._print(waiting(place, reason))

    def _print(self, sentence: str) -> None:
        with suppress(OSError):
            os.write(self._stderr, f"{sentence}\n".encode())


def _unanswered(error: BaseException | None) -> bool:
    """Whether a failure comes down to silence on the other side; mlflow wraps what requests says of it."""
    silences: tuple[type[BaseException], ...] = (ConnectionError, TimeoutError, socket.gaierror)
    if "requests" in sys.modules:
        from requests.exceptions import ConnectionError as Unconnected
        from requests.exceptions import Timeout

        silences += (Unconnected, Timeout)
    while error is not None and not isinstance(error, silences):
        error = error.__cause__ or error.__context__
    return error is not None


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def main(run: str = "", code: str = "") -> None:
    """Serve `run`, whose code lies in the folder `code`, or sweep. Leaves without waiting for libraries to close."""
    caller = os.getppid()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    ending = BROKEN
    try:
        if run:
            with suppress(Exception):  # what stands in the way of the copy, `_send` meets and says
                leave(COPY, _import, _lent)
        ending = _send(caller, run, code)
    finally:
        os._exit(ending)


def _import() -> None:
    """Whatever sending needs and takes long to import."""
    from neocog.tracking import deliver, store, system  # noqa: F401

    store.load(address.configured())


def _lent(connection: socket.socket, run: str, code: str) -> int:
    return _send(peer(connection)[0], run, code)


def _send(caller: int, run: str = "", code: str = "") -> int:
    sender = Sender(Path.cwd(), caller)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # ours are told apart from a caller that waits
    try:
        if run:
            return sender.serve(run, Path(code))
        for _ in sender.sweep():
            pass
        return SENT
    except Exception as error:
        sender._print(f"neocog: tracking: stopped sending ({address.one_line(error)}); records wait in {FOLDER}")
        return BROKEN
