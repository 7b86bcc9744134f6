"""Progress of a sweep: a live table of the trials on a terminal, a line a trial elsewhere."""

import sys
import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from neocog.tuning.trials import Trial

SHOWN = 10  # trials in the table: those at work, then the best


class LiveTable:
    """A Listener, to be entered as a context. `epochs` is what a trial lasts at most."""

    def __init__(self, name: str, *, trials: int, epochs: int, metric: str) -> None:
        self.name, self.total, self.epochs, self.metric = name, trials, epochs, metric
        self.trials: dict[int, Trial] = {}
        self.begin, self.before = time.monotonic(), 0
        console = Console(stderr=True)
        self.live = Live(console=console, get_renderable=self.table, transient=True) if console.is_terminal else None

    def __enter__(self) -> "LiveTable":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self.live:
            self.live.stop()
            self.live.console.print(self.table())

    def began(self, trial: Trial) -> None:
        """A trial is at work."""
        self.before += len(trial.rows) * (
            trial.number not in self.trials
        )  # epochs of an earlier session cost no time now
        self.trials[trial.number] = trial

    def epoch(self, trial: Trial) -> None:
        """A trial has one more row; the table draws itself."""
        self.trials[trial.number] = trial

    def ended(self, trial: Trial) -> None:
        """A trial has ended, which is a line where there is no table."""
        self.before += len(trial.rows) * (trial.number not in self.trials)
        self.trials[trial.number] = trial
        if not self.live:
            done = sum(other.ended for other in self.trials.values())
            print(
                f"{self.name} {done}/{self.total}  trial {trial.number} {trial.status} after {self._epochs(trial)}  "
                f"{self.metric} {_score(trial.score(self.metric))}  {values(trial)}  {self._best()}",
                file=sys.stderr,
                flush=True,
            )

    def table(self) -> Group | Table:
        """The sweep as it stands."""
        done = sum(trial.ended for trial in self.trials.values())
        table = Table(
            title=f"{self.name}: {done} of {self.total} trials; {self._best()}{self._left()}", title_justify="left"
        )
        for column in ("trial", "status", "epoch", self.metric):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("values", ratio=1)
        order = sorted(self.trials.values(), key=lambda trial: (trial.ended, -trial.score(self.metric)))
        for trial in order[:SHOWN]:
            style = "bold" if trial is self.leader() else "dim" if trial.status in ("stopped", "failed") else ""
            score = _score(trial.score(self.metric))
            details = trial.error if trial.status == "failed" else values(trial)
            table.add_row(
                str(trial.number), trial.status, f"{len(trial.rows)}/{self.epochs}", score, details, style=style
            )
        return table

    def leader(self) -> Trial | None:
        """The best trial so far."""
        with_rows = [trial for trial in self.trials.values() if trial.rows and trial.status != "failed"]
        return max(with_rows, key=lambda trial: trial.score(self.metric), default=None)

    def _best(self) -> str:
        leader = self.leader()
        return f"best {_score(leader.score(self.metric))} (trial {leader.number})" if leader else "none has a score yet"

    def _left(self) -> str:
        """How long it lasts if no more trials are stopped."""
        run = sum(len(trial.rows) for trial in self.trials.values())
        here = run - self.before
        waiting = self.total - len(self.trials) + sum(not trial.ended for trial in self.trials.values())
        if not here or not waiting:
            return ""
        cut = sum(self.epochs - len(trial.rows) for trial in self.trials.values() if trial.ended)
        left = (time.monotonic() - self.begin) / here * (self.total * self.epochs - run - cut)
        return f"; at most {left / 60:.0f} min left" if left >= 90 else f"; at most {left:.0f} s left"

    def _epochs(self, trial: Trial) -> str:
        return f"{len(trial.rows)} of {self.epochs} epochs"


def values(trial: Trial) -> str:
    """The values of a trial in one line."""
    return " ".join(f"{key}={_short(value)}" for key, value in trial.values.items()) or "today's settings"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace(" ", "")


def _score(score: float) -> str:
    return f"{score:.4f}" if score > float("-inf") else "-"
