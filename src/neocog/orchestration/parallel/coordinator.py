"""Runs a plan of DVC stages, several at once, in the place of DVC's own loop (dvc.repo.reproduce._reproduce).

One process, and in it one thread for all calls of DVC: only the commands of stages run beside each other.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from neocog.core.escape import say
from neocog.orchestration.parallel import (
    ignored_outs,
    lock_entries,
    order,
    parsed_params,
    process,
    steps,
    timeline,
    usage,
)
from neocog.orchestration.parallel.display import LAST, Display
from neocog.orchestration.parallel.path_locks import PathLocks
from neocog.orchestration.parallel.process import Running, Watchdog
from neocog.orchestration.parallel.resources import Machine, Resources, declared
from neocog.orchestration.parallel.timeline import Span

CPUS = "NEOCOG_CPUS"  # cores of a stage, from which it derives its threads where `threads` is 0
STALE = Path(
    "pipelines/stale.py"
)  # what the stages that depend on it do to their dependencies, and so must not do in mid-run
LOGS = Path(".neocog/logs")
PATIENCE = 30.0  # s that stages may take to end when asked to
_LOCKED = 0.3  # s between two looks at a lock that another process holds


@dataclass
class Settings:
    """What the user asked for: resources by stage or kind, watts of a busy core (W), where the page goes."""

    machine: Machine
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    watts_per_core: float = 10.0


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
        plan = _Plan(
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
        run = _Run(
            self,
            plan,
            graph,
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
            with lock_entries.patched(entries.write), locks.patched(), parsed_params.patched(), self._caught():
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

    @property
    def stopping(self) -> bool:
        return bool(self._signals)

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


@dataclass
class _Plan:
    names: dict[Any, str]
    resources: dict[Any, Resources]
    order: "order.Order[Any]"


class _Run:
    def __init__(
        self,
        owner: Coordinator,
        plan: _Plan,
        graph: Any,
        *,
        display: Display,
        locks: PathLocks,
        ignored: ignored_outs.IgnoredOuts,
        repro_fn: Callable[..., Any],
        force_downstream: bool,
        on_error: str,
        force: bool,
        options: dict[str, Any],
    ) -> None:
        self.owner, self.plan, self.graph, self.display, self.locks, self.ignored = (
            owner,
            plan,
            graph,
            display,
            locks,
            ignored,
        )
        self.repro_fn, self.force_downstream, self.on_error, self.options = (
            repro_fn,
            force_downstream,
            on_error,
            options,
        )
        self.forced = dict.fromkeys(plan.names, force)
        self.running: dict[Any, tuple[Running, steps.Commands, float]] = {}
        self.reproduced: set[Any] = set()
        self.failures: dict[Any, Exception] = {}
        self.spans: list[Span] = []
        self.sampler = usage.Sampler()

    def loop(self, repo: Any, began: float) -> None:
        """Start, wait, finish, until nothing is left."""
        self.began = began
        stopped: float | None = None
        sent = 0
        while True:
            if not self.owner.stopping and not (self.failures and self.on_error == "fail"):
                self._start_ready()
            if not self.running:
                break
            with _unlocked(repo):
                self._wait()
            if self.owner.stopping:
                stopped = stopped or time.monotonic()
                sent = self._stop(sent, overdue=time.monotonic() - stopped > PATIENCE)
            for stage, (running, commands, _) in list(self.running.items()):
                if running.poll() is not None:
                    self._ended(stage, running, commands)

    def _start_ready(self) -> None:
        machine, waits = self.owner.settings.machine, self.plan.order
        progress = True
        while progress and not self.owner.stopping and not (self.failures and self.on_error == "fail"):
            progress = False
            ready = waits.ready()
            for stage in sorted(ready, key=lambda each: self.plan.resources[each].exclusive):
                if not machine.fits(self.plan.resources[stage]):
                    continue
                waits.start(stage)
                self._start(stage)
                progress = True
                break

    def _start(self, stage: Any) -> None:
        name = self.plan.names[stage]
        upstream = list(self.graph.successors(stage)) if self.graph else []
        given = {"upstream": upstream, "force": self.forced[stage], **self.options}
        try:
            if not steps.is_split(stage):
                self._settle(stage, self.repro_fn(stage, **given))
                return
            self._lock(stage)
            with self.ignored.ordered(stage):
                found = steps.begin(stage, force=self.forced[stage], upstream=upstream, options=self.options)
                if found is True:
                    steps.finish(stage, [], self.options)
            if isinstance(found, steps.Commands):
                self._run(stage, name, found)
                return
            result = stage if found else None
            self._settle(stage, steps.record(stage, lambda: result, self.repro_fn, **given))
        except Exception as error:
            self._fail(stage, error)

    def _lock(self, stage: Any) -> None:
        from dvc.lock import LockError

        said = False
        while True:
            try:
                self.locks.acquire(stage)
                return
            except LockError as error:
                if self.owner.stopping:
                    raise
                if not said:
                    said = True
                    self.display.line(
                        f"[{self.plan.names[stage]}] waits: {str(error).strip().splitlines()[0]}{_holders(error)}"
                    )
                time.sleep(_LOCKED)

    def _run(self, stage: Any, name: str, commands: steps.Commands) -> None:
        asked = self.plan.resources[stage]
        devices = self.owner.settings.machine.take(name, asked)
        log = self.owner.root / LOGS / f"{name.replace('/', '-').replace(':', '-')}.log"
        pids = log.with_suffix(".pids")
        pids.unlink(missing_ok=True)
        environment = {CPUS: f"{asked.cpus:g}", usage.PIDS: str(pids)}
        if self.owner.settings.machine.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, devices))
        try:
            running = Running(
                name, commands.commands, commands.popen, environment=environment, log=log, watchdog=self.owner.watchdog
            )
        except BaseException:
            self.owner.settings.machine.give_back(name)
            raise
        self.running[stage] = (running, commands, time.monotonic() - self.began)
        self.display.started(name, log)

    def _wait(self) -> None:
        process.wait((running for running, _, _ in self.running.values()), 0.25)
        self.sampler.sample(
            {running.name: (running.pid, running.log.with_suffix(".pids")) for running, _, _ in self.running.values()}
        )
        self.display.update({name: use.memory for name, use in self.sampler.usages.items()})

    def _stop(self, sent: int, *, overdue: bool) -> int:
        """Hand signals on to the stages; a second one, or PATIENCE without an end, kills them."""
        signals = self.owner._signals
        for number in signals[sent:]:
            for running, _, _ in self.running.values():
                running.stop()
                running.send(number if sent == 0 else signal.SIGKILL)
        if overdue:
            for running, _, _ in self.running.values():
                running.send(signal.SIGKILL)
        return len(signals)

    def _ended(self, stage: Any, running: Running, commands: steps.Commands) -> None:
        from dvc.stage.exceptions import StageCmdFailedError

        _, _, begin = self.running.pop(stage)
        name = running.name
        self.owner.settings.machine.give_back(name)
        used = self.sampler.usages[name]
        cpu = max(used.cpu_seconds, running.cpu_seconds)
        measured: dict[str, Any] = {
            "begin": begin,
            "seconds": running.seconds,
            "cpus": self.plan.resources[stage].cpus,
            "cpu_seconds": cpu,
            "peak": used.peak,
            "energy": usage.energy_wh(cpu, self.owner.settings.watts_per_core),
        }
        try:
            if running.code != 0 or running.cut:
                raise StageCmdFailedError(running.command[-1], running.code)
            edited: list[str] = []

            def finish() -> Any:
                with self.ignored.ordered(stage):
                    edited.extend(steps.finish(stage, commands.read, self.options))
                return stage

            result = steps.record(stage, finish, self.repro_fn, **self.options)
            stage.repo.scm_context.ignored_paths.clear()  # DVC takes them back when another stage fails, and these outs are there
            text = f"{', '.join(edited)} changed meanwhile: it will run again" if edited else ""
            self._settle(stage, result, text=text, **measured)
        except Exception as error:
            if running.code != 0:
                self._fail(stage, error, shown=not self.owner.stopping, running=running, **measured)
            else:
                self._fail(stage, error, **measured)

    def _settle(self, stage: Any, result: Any, *, text: str = "", **measured: Any) -> None:
        self.locks.release(stage)
        ran = "seconds" in measured
        state = timeline.DONE if ran else timeline.RESTORED if result else timeline.UNCHANGED
        self._note(stage, state, text, **measured)
        if result:
            self.reproduced.add(stage)
        if self.force_downstream and self.graph and (result or self.forced[stage]):
            self.forced.update(dict.fromkeys(self.graph.predecessors(stage), True))
        self.plan.order.done(stage)

    def _fail(
        self, stage: Any, error: Exception, *, shown: bool = False, running: Running | None = None, **measured: Any
    ) -> None:
        from dvc.repo import reproduce

        self.locks.release(stage)
        self._note(stage, timeline.FAILED, f"exit code {running.code}" if running else str(error), **measured)
        if running and shown:
            self.display.failed(running.name, running.last_lines(LAST), running.log)
        self.failures[stage] = error
        if self.on_error == "fail" or self.owner.stopping:
            return
        for dependent in reproduce.handle_error(self.graph, self.on_error, error, stage):
            if dependent in self.plan.order.waiting:
                self.plan.order.start(dependent)
                self._note(dependent, timeline.SKIPPED, "")
        self.plan.order.done(stage)

    def _note(self, stage: Any, state: str, text: str, **measured: Any) -> None:
        self.spans.append(Span(self.plan.names[stage], state, **measured))
        self.display.ended(self.plan.names[stage], state, text)


@contextmanager
def _unlocked(repo: Any) -> Iterator[None]:
    """DVC's lock of the project is free while stages run, as it is under plain `dvc repro`: a stage may call DVC itself.

    Without DVC's own `repo._reset()`, after which it reads its configuration and ignore files anew for each stage: 0.3 s.
    """
    repo.lock.unlock()
    try:
        yield
    finally:
        repo.lock.lock()


def _remove_stale(root: Path) -> None:
    command = [sys.executable, "-m", ".".join(STALE.with_suffix("").parts)]
    said = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if said.stdout:  # of wrong params the first stage tells
        say(said.stdout.rstrip(), file=sys.stderr)


def _entry(stage: Any) -> tuple[str, str]:
    return os.path.splitext(stage.path)[0] + ".lock", getattr(stage, "name", None) or ""  # noqa: PTH122


def _holders(error: Exception) -> str:
    return "".join(f" {line.strip()}" for line in str(error).splitlines() if "(PID" in line)
