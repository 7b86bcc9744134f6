"""Errors and exit codes: a process that cannot go on prints one clear message.

| code | meaning |
|---|---|
| 0 | done |
| 2 | the user's input is wrong (params, data, paths): nothing was written |
| 3 | out of memory: the message names the largest batch that fits |
| 4 | training diverged (NaN or Inf): the last finite checkpoint is kept |
"""

import errno
import gc
import inspect
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from neocog.core import broken_pipe, resume_state, utf8_mode
from neocog.core.escape import escape_unwritable, say


class NeocogError(Exception):
    """Error that the user can act on. `exit_code` is what the process returns."""

    exit_code = 1


class UserError(NeocogError, ValueError):
    """The input is wrong: the message names the key or file, its value and the remedy."""

    exit_code = 2


class OutOfMemory(NeocogError, MemoryError):
    """The batch does not fit: the message names the largest one that does."""

    exit_code = 3


class Diverged(NeocogError, ArithmeticError):
    """The loss became NaN or infinite: the message names the step and the checkpoint kept."""

    exit_code = 4


class Busy(NeocogError):
    """Another process is at work on the same thing: the message names it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The closing half-sentence of an error about an unknown `name`: the nearest of `known`, then all of them."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return (f"did you mean {close[0]!r}? " if close else "") + f"known: {', '.join(names)}"


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


def of_disk(error: BaseException, folder: Path | None = None) -> NeocogError | None:
    """What to raise for an `error` of a full disk (exit 1) or of a place that cannot be written (exit 2); None for any other.

    folder: what was being written; without it, the file that the error names.
    """
    cause: BaseException | None = error
    while cause is not None:
        where = folder or getattr(cause, "filename", None)
        number = cause.errno if isinstance(cause, OSError) else None
        if number is None:
            number = _told_in(str(cause))
        if number in _FULL:
            remedy = "free some space and run the same command: it continues where it stopped"
            return NeocogError(f"{where or Path.cwd()}: the disk is full ({os.strerror(number)}); {remedy}")
        if number in _FORBIDDEN and where:
            return UserError(f"{where}: {os.strerror(number)}; make it a place that you can write to and read from")
        cause = cause.__cause__ or cause.__context__
    return None


def _told_in(text: str) -> int | None:
    """The number of a full disk's error where a library says it in words only: safetensors, torch; numpy counts what it wrote."""
    if re.fullmatch(r"\d+ requested and \d+ written", text):
        return errno.ENOSPC
    return next((number for number in sorted(_FULL) if os.strerror(number) in text), None)


@contextmanager
def _of_disks() -> Iterator[None]:
    try:
        yield
    except NeocogError:
        raise
    except Exception as error:
        if (said := of_disk(error)) is not None:
            raise said from error
        raise


def run(
    main: Callable[..., object], arguments: Sequence[Any] = (), *, unread: Literal["ends", "goes on"] = "goes on"
) -> None:
    """Call `main(*arguments)` and leave the process as the table above says, without a stack trace for what the user can act on.

    When nobody reads standard output any more, a verb `ends`, with 0, and a stage `goes on`: its work is in its files.
    """
    utf8_mode.ensure()
    for name in ("stdout", "stderr") if unread == "goes on" else ("stderr",):
        broken_pipe.go_on_unheard(name)
    gc.set_threshold(
        50_000, 20, 20
    )  # libraries make a million objects that stay: looking through them costs a second a stage
    follower = os.environ.get("LOCAL_RANK", "0") not in ("", "0")
    parent = os.getppid()
    if follower or "DVC_STAGE" in os.environ:
        _end_with_parent()
    try:
        escape_unwritable()
        _check_arguments(main, arguments)
        with _of_disks():
            if not follower:
                resume_state.begin()
            main(*arguments)
            if not follower:
                resume_state.end()
    except BrokenPipeError:
        if not broken_pipe.is_unread(sys.stdout):
            raise  # of another pipe, or a socket
    except NeocogError as error:
        if follower:  # a rank that ends first takes the first rank with it, before that has said why
            _wait_for_the_end_of(parent)
        else:
            say(f"neocog: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("neocog: interrupted; the same command continues where it stopped", file=sys.stderr)
        sys.exit(130)
    finally:
        broken_pipe.flush(sys.stdout)


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM raise SystemExit(143) in the main thread of this process, so that `finally` blocks run."""
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    owner = os.getpid()

    def leave(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            raise SystemExit(128 + number)
        signal.signal(number, signal.SIG_DFL)  # a forked worker ends as if there were no handler
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_arguments(main: Callable[..., object], arguments: Sequence[Any]) -> None:
    signature = inspect.signature(main)
    try:
        signature.bind(*arguments)
    except TypeError:
        wanted = " ".join(f"<{name}>" for name in signature.parameters) or "no argument"
        raise UserError(f"{main.__name__} takes {wanted}, not {' '.join(map(str, arguments)) or 'nothing'}") from None


def _end_with_parent() -> None:
    """Get SIGTERM when the process that started this one ends: a killed `dvc repro` or first rank leaves no training behind.

    DVC starts a stage through `$SHELL -c`; some shells stay between (dash), some do not (bash): it is DVC that counts.
    """
    import psutil

    try:
        parent = psutil.Process().parent()
        if parent is not None and "-c" in parent.cmdline()[1:-1]:
            parent = parent.parent()
    except psutil.Error:
        return
    if parent is not None:
        threading.Thread(target=_end_after, args=[parent], daemon=True).start()


def _end_after(parent: Any) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _wait_for_the_end_of(parent: int, *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while os.getppid() == parent and time.monotonic() < end:
        time.sleep(0.2)
