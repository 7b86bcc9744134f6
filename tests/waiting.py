"""Waiting for what other processes do: for as long as it takes on a busy machine, and no longer than they live."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import psutil

T = TypeVar("T")
WORKER = ("ray::run", "ray::Impl")  # what trains trials, not Ray's agents


def wait_for(condition: Callable[[], T], *, seconds: float, process: subprocess.Popen | None = None) -> T | None:
    """What `condition()` returns as soon as that is true; None after `seconds`, or when `process` ends before."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            return None
        time.sleep(0.02)
    return found


def ray_workers(process: int | None = None, names: tuple[str, ...] = WORKER) -> list[psutil.Process]:
    """Those descendants of `process` (this one) whose names begin so; short-lived ones may end while they are asked."""
    found = []
    for each in psutil.Process(process).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if each.name().startswith(names):
                found.append(each)
    return found
