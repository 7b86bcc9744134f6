"""Runs a plan of DVC stages, several at once, in the place of DVC's own loop (dvc.repo.reproduce._reproduce).

One process, and in it one thread for all calls of DVC: only the commands of stages run beside each other.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from neocog.core.escape import say
from neocog.orchestration.parallel import caches, ignored_outs, lock_entries, order, timeline
from neocog.orchestration.parallel.display import Display
from neocog.orchestration.parallel.path_locks import PathLocks
from neocog.orchestration.parallel.process import Watchdog
from neocog.orchestration.parallel.resources import declared
from neocog.orchestration.parallel.stage_loop import Settings, StageLoop, StagePlan
from neocog.orchestration.parallel.timeline import Span

# What the stages that depend on it do to their dependencies, and so must not do in mid-run.
STALE = Path("pipelines/stale.py")


class Coordinator:
    """One run. `reproduce` has the signature of DVC's `_reproduce`; afterwards `spans` says what happened."""

    def __init__(self, settings: Settings, watchdog: Watchdog, *, quiet: bool = False) -> None:
        self.settings, self.watchdog, self.quiet = settings, watchdog, quiet
        self.spans: list[Span] = []
        self.wall = 0.0
        self.root = Path()
        self._signals: list[int] = []

    def reproduce(  # noqa: PLR0917 - DVC's own signature
        self,
        stages: list[Any],
        graph: Any | None = None,
        force_downstream: bool = False,
        on_error: str = "fail",
        force: bool = False,
        repro_fn: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> list[Any]:
        """Reproduce `stages`. Returns those that ran or came from the run-cache, in the order of the plan."""
        from dvc.repo import reproduce

        own = repro_fn or reproduce._reproduce_stage
        if not stages:
            return []
        repo = stages[0].repo
        self.root = Path(repo.root_dir)
        names = {stage: stage.addressing for stage in stages}
        known = timeline.seconds(self.root)
        plan = StagePlan(
            names,
            {stage: declared(names[stage], stage.meta, self.settings.resources) for stage in stages},
            order.Order(stages, order.needs(stages, graph), {stage: known.get(names[stage], 0.0) for stage in stages}),
        )
        if any(Path(dep.fs_path) == self.root / STALE for stage in stages for dep in stage.deps):
            _remove_stale(self.root)
        entries = lock_entries.LockEntries([_entry(stage) for stage in stages], self.root)
        ignored = ignored_outs.IgnoredOuts(list(names.values()), self.root)
        display = Display(list(names.values()), known, jobs=self.settings.machine.jobs, quiet=self.quiet)
        locks = PathLocks()
        run = StageLoop(
            plan,
            graph,
            settings=self.settings,
            watchdog=self.watchdog,
            root=self.root,
            signals=self._signals,
            display=display,
            locks=locks,
            ignored=ignored,
            repro_fn=own,
            force_downstream=force_downstream,
            on_error=on_error,
            force=force,
            options=kwargs,
        )
        began = time.monotonic()
        try:
            with lock_entries.patched(entries.write), locks.patched(), caches.kept(repo), self._caught():
                try:
                    run.loop(repo, began)
                finally:
                    if not repo.lock.is_locked:  # DVC will unlock it
                        repo.lock.lock()
        finally:
            self.spans, self.wall = run.spans, time.monotonic() - began
            display.close()
            timeline.keep_seconds(self.root, run.spans)
        if self._signals:
            if self._signals[0] == signal.SIGTERM:
                raise SystemExit(128 + signal.SIGTERM)
            raise KeyboardInterrupt
        if run.failures and on_error != "ignore":
            first = next(iter(run.failures.values()))
            reproduce._raise_error(first if on_error == "fail" else None, *run.failures)
        entries.done()
        ignored.done()
        return [stage for stage in stages if stage in run.reproduced]

    @contextmanager
    def _caught(self) -> Iterator[None]:
        """SIGINT and SIGTERM are noted, so that no call of DVC is cut off by them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, _: FrameType | None) -> None:
            self._signals.append(number)

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _remove_stale(root: Path) -> None:
    command = [sys.executable, "-m", ".".join(STALE.with_suffix("").parts)]
    said = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if said.stdout:  # of wrong params the first stage tells
        say(said.stdout.rstrip(), file=sys.stderr)


def _entry(stage: Any) -> tuple[str, str]:
    return os.path.splitext(stage.path)[0] + ".lock", getattr(stage, "name", None) or ""  # noqa: PTH122
