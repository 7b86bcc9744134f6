"""How far a long loop is: one live bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_EVERY = 10.0  # seconds between plain lines


def watched(items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    """Hand on `items` while telling on stderr how many of `total` have passed, and how many a second."""
    if total == 0:
        return
    if sys.stderr.isatty():
        yield from _bar(items, total=total, what=what)
        return
    start = printed = time.monotonic()
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - printed >= _EVERY and done < total:
            printed = time.monotonic()
            print(f"{done:,} of {total:,} {what} ({done / (printed - start):,.0f}/s)", file=sys.stderr, flush=True)
    seconds = time.monotonic() - start
    print(f"{done:,} {what} in {seconds:.1f} s ({done / max(seconds, 1e-9):,.0f}/s)", file=sys.stderr, flush=True)


def _bar(items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")  # a task that has just begun has no speed

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), Rate())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        for item in items:
            yield item
            progress.advance(task)
