"""How neocog ends when it cannot go on: one clear message and an exit code that says whose turn it is.

| code | meaning |
|---|---|
| 0 | done |
| 2 | the user's input is wrong (params, data, paths): nothing was written |
| 3 | out of memory: the message names the largest batch that fits |
| 4 | training diverged (NaN or Inf): the last finite checkpoint is kept |
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches


class NeocogError(Exception):
    """An ending that the user can act on. `exit_code` is what the process returns."""

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


def run(main: Callable[[], object]) -> None:
    """Call `main` and leave the process as the table above says, without a stack trace for what the user can act on."""
    _end_with_dvc()
    try:
        main()
    except NeocogError as error:
        print(f"neocog: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("neocog: interrupted; the same command continues where it stopped", file=sys.stderr)
        sys.exit(130)


def _end_with_dvc() -> None:
    """As a DVC stage on Linux, get SIGTERM when DVC dies, so that a killed `dvc repro` leaves no training behind."""
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
