"""Progress of a run: a live table on a terminal; elsewhere the stages' own lines, each after its name."""

import re
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from neocog.core.escape import say

if TYPE_CHECKING:
    from rich.table import Table

EVERY = 0.5  # s between two drawings
LAST = 20  # lines of a failed stage that are shown
_STEP = re.compile(r"\b(\d+)/(\d+)\b")
_RATE = re.compile(r"([\d,.]+) images/s")


class Display:
    """What the user sees. `total`: stages of the plan; `known`: seconds that stages took earlier."""

    def __init__(self, plan: list[str], known: dict[str, float], *, jobs: int, quiet: bool = False) -> None:
        from rich.console import Console

        self.plan, self.known, self.jobs, self.quiet = plan, known, max(1, jobs), quiet
        self.console = Console(stderr=True)
        self.states: dict[str, str] = {}
        self._begun: dict[str, float] = {}
        self._read: dict[str, int] = {}
        self._logs: dict[str, Path] = {}
        self._next = 0.0
        self._live = None
        if self.console.is_terminal and not quiet:
            from rich.live import Live

            self._live = Live(console=self.console, auto_refresh=False, transient=True)

    def started(self, stage: str, log: Path) -> None:
        """The commands of `stage` have begun."""
        self.states[stage] = "running"
        self._begun[stage], self._logs[stage], self._read[stage] = time.monotonic(), log, 0
        if self._live and not self._live.is_started:
            self._live.start()
        elif not self._live and not self.quiet:
            say(f"[{stage}] started", file=sys.stderr)

    def ended(self, stage: str, state: str, text: str = "") -> None:
        """`stage` is done, failed, unchanged, ...; `text` says more."""
        was_running = self.states.get(stage) == "running"
        self.states[stage] = state
        if was_running:
            self._say_new(stage, rest=True)
            took = time.monotonic() - self._begun[stage]
            self.line(f"[{stage}] {state} in {took:.1f} s{text and ': ' + text}")
        elif state in ("failed", "restored"):
            self.line(f"[{stage}] {state}{text and ': ' + text}")

    def failed(self, stage: str, lines: Iterable[str], log: Path) -> None:
        """Show the last lines of a failed stage, and where all of them are."""
        if self._live:  # elsewhere they have been seen
            for each in lines:
                self.line(f"[{stage}] {each}")
        self.line(f"[{stage}] all that it said: {log}")

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._live and self._live.is_started:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif not self.quiet:
            say(text, file=sys.stderr)

    def update(self, memory: dict[str, int]) -> None:
        """Draw anew when it is time. memory: bytes of running stages."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        if self._live:
            self._live.update(self._table(memory), refresh=True)
        else:
            for stage, state in list(self.states.items()):
                if state == "running":
                    self._say_new(stage)

    def close(self) -> None:
        """Leave the terminal as it was, and say how the stages ended."""
        if self._live and self._live.is_started:
            self._live.stop()
            self._live = None
        self.line(self._summary())

    def _say_new(self, stage: str, *, rest: bool = False) -> None:
        if self._live or self.quiet:
            return
        with self._logs[stage].open("rb") as file:
            file.seek(self._read[stage])
            text = file.read()
        whole = text if rest else text[: text.rfind(b"\n") + 1]
        self._read[stage] += len(whole)
        for each in whole.decode("utf-8", "replace").splitlines():
            say(f"[{stage}] {each.rpartition(chr(13))[2]}", file=sys.stderr)

    def _summary(self) -> str:
        counts: dict[str, int] = {}
        for state in self.states.values():
            counts[state] = counts.get(state, 0) + 1
        waiting = len(self.plan) - len(self.states)
        order = ("done", "restored", "unchanged", "running", "failed", "skipped")
        said = [f"{counts[state]} {state}" for state in order if state in counts] + [f"{waiting} waiting"] * bool(
            waiting
        )
        return f"{len(self.plan)} stages: {', '.join(said) or 'nothing to do'}"

    def _left(self) -> str:
        now, left = time.monotonic(), 0.0
        for stage in self.plan:
            state = self.states.get(stage)
            if state is None or state == "running":
                if stage not in self.known:
                    return ""
                left += max(self.known[stage] - (now - self._begun[stage] if state else 0.0), 0.0)
        return f", about {_clock(left / self.jobs)} left"

    def _table(self, memory: dict[str, int]) -> "Table":
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=self._summary() + self._left(), title_justify="left", title_style="", box=None, padding=(0, 1)
        )
        for name in ("stage", "time", "left", "step", "images/s", "MB"):
            table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
        table.add_column("last line", no_wrap=True, overflow="ellipsis", ratio=1)
        now = time.monotonic()
        for stage, state in self.states.items():
            if state != "running":
                continue
            took, last = now - self._begun[stage], _last(self._logs[stage])
            left = _clock(max(self.known[stage] - took, 0.0)) if stage in self.known else ""
            step, rate = _STEP.search(last), _RATE.search(last)
            row = [stage, _clock(took), left, step[0] if step else "", rate[1] if rate else ""]
            table.add_row(*map(Text, [*row, f"{memory.get(stage, 0) / 1e6:.0f}", last]))
        return table


def _last(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 1000))
        lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return "".join(each for each in (lines[-1].rpartition("\r")[2] if lines else "") if each.isprintable())
    return ""


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
