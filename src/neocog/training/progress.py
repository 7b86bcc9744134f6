"""What a person sees of a training: one live line on a terminal, a plain line an epoch elsewhere."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class EpochLine:
    """The progress of one training of `epochs` x `steps` batches. Written to stderr; at most ten updates a second."""

    def __init__(self, name: str, *, epochs: int, steps: int, best: str, done: int = 0) -> None:
        self.name, self.epochs, self.steps, self.best = name, epochs, steps, best
        self.console = Console(stderr=True)
        self.next = 0.0
        self.live = (
            Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[epoch]}/{task.fields[epochs]}  {task.fields[text]}"),
                TimeRemainingColumn(compact=True),
                console=self.console,
            )
            if self.console.is_terminal
            else None
        )
        self.text = ""
        if self.live:
            self.live.start()
            self.task = self.live.add_task(
                name, total=epochs * steps, completed=done * steps, epoch=done + 1, epochs=epochs, text=""
            )
        elif done:
            print(f"{name}: continues after epoch {done} of {epochs}", file=sys.stderr, flush=True)

    def step(self, epoch: int, batch: int, *, images_per_second: float, wait_share: float) -> None:
        """Called after every batch; draws only when it is time."""
        now = time.monotonic()
        if self.live and now >= self.next:
            self.next = now + 0.1
            speed = f"{images_per_second:,.0f} images/s  waiting {wait_share:.1%}"
            self.live.update(
                self.task, completed=epoch * self.steps + batch, epoch=epoch + 1, text=f"{self.text}{speed}"
            )

    def epoch(self, row: dict[str, float], *, images_per_second: float, wait_share: float) -> None:
        """Called after every epoch with its row of the history."""
        shown = f"loss {row['train/loss']:.4f}  val/loss {row['val/loss']:.4f}  {self.best} {row[self.best]:.4f}  "
        self.text = shown
        if not self.live:
            print(
                f"{self.name} {row['epoch']:.0f}/{self.epochs}  {shown}{images_per_second:,.0f} images/s  waiting {wait_share:.1%}",
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        """Leave the terminal as it was, the last state standing."""
        if self.live:
            self.live.stop()
