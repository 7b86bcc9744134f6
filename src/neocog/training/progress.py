"""Progress of a training: one live line on a terminal, a plain line an epoch elsewhere."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

TEXT = 56  # columns of the line's numbers


def print_line(name: str, text: str) -> None:
    """Print a sentence about the training of `name` to stderr, where there are no epochs to show."""
    print(f"{name}: {text}", file=sys.stderr, flush=True)


class EpochLine:
    """The progress of one training of `epochs` x `steps` batches. Written to stderr; at most ten updates a second."""

    def __init__(self, name: str, *, epochs: int, steps: int, best: str, done: int = 0) -> None:
        self.name, self.epochs, self.steps, self.best = name, epochs, steps, best
        self.console = Console(stderr=True)
        self.next = 0.0
        self.live = (
            Progress(
                TextColumn("[bold]{task.description}", table_column=Column(no_wrap=True, min_width=len(name))),
                BarColumn(bar_width=None, table_column=Column(ratio=1)),  # what the 80 columns of a terminal leave
                TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, min_width=TEXT)),
                TimeRemainingColumn(compact=True),
                console=self.console,
                expand=True,
            )
            if self.console.is_terminal
            else None
        )
        self.text = ""
        if self.live:
            self.live.start()
            self.task = self.live.add_task(name, total=epochs * steps, completed=done * steps, text="")
        elif done:
            print(f"{name}: continues after epoch {done} of {epochs}", file=sys.stderr, flush=True)

    def step(self, epoch: int, batch: int, *, images_per_second: float, wait_share: float) -> None:
        """Called after every batch; draws only when it is time."""
        now = time.monotonic()
        if self.live and now >= self.next:
            self.next = now + 0.1
            self._show(epoch, batch, images_per_second=images_per_second, wait_share=wait_share)

    def epoch(self, row: dict[str, float], *, images_per_second: float, wait_share: float) -> None:
        """Called after every epoch with its row of the history."""
        self.text = f"loss {row['train/loss']:.3f} {self.best} {row[self.best]:.3f} "
        if self.live:
            self._show(int(row["epoch"]) - 1, self.steps, images_per_second=images_per_second, wait_share=wait_share)
        else:
            print(
                f"{self.name} {row['epoch']:.0f}/{self.epochs}  loss {row['train/loss']:.4f}  val/loss {row['val/loss']:.4f}  "
                f"{self.best} {row[self.best]:.4f}  {images_per_second:,.0f} images/s  data wait {wait_share:.1%}",
                file=sys.stderr,
                flush=True,
            )

    def _show(self, epoch: int, batch: int, *, images_per_second: float, wait_share: float) -> None:
        assert self.live is not None
        text = f"{epoch + 1}/{self.epochs} {self.text}{images_per_second:,.0f} images/s data wait {wait_share:.1%}"
        self.live.update(self.task, completed=epoch * self.steps + batch, text=text)

    def close(self) -> None:
        """Leave the terminal as it was, the last state standing."""
        if self.live:
            self.live.stop()
