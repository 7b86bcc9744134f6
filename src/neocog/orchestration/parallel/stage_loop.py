"""The loop over the stages of a plan: start what is ready, wait, finish; all calls of DVC in this one thread."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from neocog.orchestration.parallel import ignored_outs, order, process, steps, timeline, usage
from neocog.orchestration.parallel.display import LAST, Display
from neocog.orchestration.parallel.path_locks import PathLocks
from neocog.orchestration.parallel.process import Running, Watchdog
from neocog.orchestration.parallel.resources import Machine, Resources
from neocog.orchestration.parallel.timeline import Span

CPUS = "NEOCOG_CPUS"  # cores of a stage, from which it derives its threads where `threads` is 0
LOGS = Path(".neocog/logs")
PATIENCE = 30.0  # s that stages may take to end when asked to
_LOCKED = 0.3  # s between two looks at a lock that another process holds


class Executor(Protocol):
    """Where commands of stages run other than as processes in the project's folder."""

    def start(
        self,
        stage: Any,
        commands: steps.Commands,
        *,
        asked: Resources,
        environment: Mapping[str, str],
        log: Path,
        watchdog: Watchdog,
    ) -> Running:
        """Start the commands of `stage`. Once they have ended well, its outs are in the project."""

    def wait(self, running: list[Running], seconds: float) -> Mapping[str, int]:
        """Return when something has happened to one of them, or after `seconds`; bytes of memory of those that are on other machines."""


@dataclass
class Settings:
    """What the user asked for: resources by stage or kind, watts of a busy core (W), where stages run (None: in the project)."""

    machine: Machine
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    watts_per_core: float = 10.0
    executor: Executor | None = None


@dataclass
class StagePlan:
    """Stages with their names, what each takes of the machine, and the order in which they wait for each other."""

    names: dict[Any, str]
    resources: dict[Any, Resources]
    order: "order.Order[Any]"


@dataclass
class StageLoop:
    """Starts stages of a plan as they become ready and the machine has room, waits for their commands, ends each by DVC's own calls.

    `signals` grows while it runs: what was sent to this process, on which it stops. Afterwards `reproduced`, `failures` and `spans`
    tell what happened.
    """

    plan: StagePlan
    graph: Any
    settings: Settings
    watchdog: Watchdog
    root: Path
    signals: list[int]
    display: Display
    locks: PathLocks
    ignored: ignored_outs.IgnoredOuts
    repro_fn: Callable[..., Any]
    force_downstream: bool
    on_error: str
    force: bool
    options: dict[str, Any]
    running: dict[Any, tuple[Running, steps.Commands, float]] = field(default_factory=dict)
    reproduced: set[Any] = field(default_factory=set)
    failures: dict[Any, Exception] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    sampler: usage.Sampler = field(default_factory=usage.Sampler)

    def __post_init__(self) -> None:
        self.forced = dict.fromkeys(self.plan.names, self.force)

    @property
    def stopping(self) -> bool:
        """Whether no further stage is started."""
        return bool(self.signals)

    def loop(self, repo: Any, began: float) -> None:
        """Start, wait, finish, until nothing is left."""
        self.began = began
        stopped: float | None = None
        sent = 0
        while True:
            self._start_ready()
            if not self.running:
                break
            self.locks.flush()
            with _unlocked(repo):
                self._wait()
            if self.stopping:
                stopped = stopped or time.monotonic()
                sent = self._stop(sent, overdue=time.monotonic() - stopped > PATIENCE)
            for stage, (running, commands, _) in list(self.running.items()):
                if running.poll() is not None:
                    self._ended(stage, running, commands)

    def _start_ready(self) -> None:
        machine, waits = self.settings.machine, self.plan.order
        progress = True
        while progress and not self.stopping and not (self.failures and self.on_error == "fail"):
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
                if self.stopping:
                    raise
                if not said:
                    said = True
                    self.display.line(
                        f"[{self.plan.names[stage]}] waits: {str(error).strip().splitlines()[0]}{_holders(error)}"
                    )
                time.sleep(_LOCKED)

    def _run(self, stage: Any, name: str, commands: steps.Commands) -> None:
        asked = self.plan.resources[stage]
        devices = self.settings.machine.take(name, asked)
        log = self.root / LOGS / f"{name.replace('/', '-').replace(':', '-')}.log"
        pids = log.with_suffix(".pids")
        pids.unlink(missing_ok=True)
        environment = {CPUS: f"{asked.cpus:g}", usage.PIDS: str(pids)}
        if self.settings.machine.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, devices))
        try:
            given: dict[str, Any] = {"environment": environment, "log": log, "watchdog": self.watchdog}
            if self.settings.executor:
                running = self.settings.executor.start(stage, commands, asked=asked, **given)
            else:
                running = Running(name, commands.commands, commands.popen, **given)
        except BaseException:
            self.settings.machine.give_back(name)
            raise
        self.running[stage] = (running, commands, time.monotonic() - self.began)
        self.display.started(name, log)

    def _wait(self) -> None:
        running = [each for each, _, _ in self.running.values()]
        if self.settings.executor:
            for name, memory in self.settings.executor.wait(running, 0.25).items():
                self.sampler.usages[name].note(memory)
        else:
            process.wait(running, 0.25)
        self.sampler.sample({each.name: (each.pid, each.log.with_suffix(".pids")) for each in running if each.pid})
        self.display.update({name: use.memory for name, use in self.sampler.usages.items()})

    def _stop(self, sent: int, *, overdue: bool) -> int:
        """Hand signals on to the stages; a second one, or PATIENCE without an end, kills them."""
        signals = self.signals
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
        self.settings.machine.give_back(name)
        used = self.sampler.usages[name]
        cpu = max(used.cpu_seconds, running.cpu_seconds)
        measured: dict[str, Any] = {
            "begin": begin,
            "seconds": running.seconds,
            "cpus": self.plan.resources[stage].cpus,
            "cpu_seconds": cpu,
            "peak": used.peak,
            "energy": usage.energy_wh(cpu, self.settings.watts_per_core),
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
            self._fail(stage, error, running=running if running.code != 0 else None, **measured)

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

    def _fail(self, stage: Any, error: Exception, *, running: Running | None = None, **measured: Any) -> None:
        from dvc.repo import reproduce

        self.locks.release(stage)
        self._note(stage, timeline.FAILED, f"exit code {running.code}" if running else str(error), **measured)
        if running and not self.stopping:
            self.display.failed(running.name, running.last_lines(LAST), running.log)
        self.failures[stage] = error
        if self.on_error == "fail" or self.stopping:
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


def _holders(error: Exception) -> str:
    return "".join(f" {line.strip()}" for line in str(error).splitlines() if "(PID" in line)
