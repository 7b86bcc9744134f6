"""The columns of a leaderboard as the page shows them: heading, what it says, how it is written, which way is better."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neocog.drawing import numbers
from neocog.report.leaderboard import Row


@dataclass(frozen=True)
class Score:
    """A `column` of the leaderboard. `better`: 1 if more is better, -1 if less, 0 if neither; `share`: a fraction, told in percent;
    `below`: what the table writes in small under the value of a row."""

    column: str
    heading: str
    about: str
    told: Callable[[Any], str]
    better: int
    below: Callable[[Any], str] = lambda row: ""

    @property
    def share(self) -> bool:
        return self.told is numbers.percent

    def write(self, value: float | None) -> str:
        """The value as written, or that there is none."""
        return numbers.MISSING if value is None else self.told(value)

    def note(self, row: Row) -> str:
        """What stands below the value; empty where there is no value."""
        return "" if getattr(row, self.column) is None else self.below(row)


def _interval(row: Row) -> str:
    return f"{numbers.percent(row.top1_low)} – {numbers.percent(row.top1_high)}"


def _p95(row: Row) -> str:
    return f"p95 {numbers.milliseconds(row.latency_ms_p95)}"


def _epochs(row: Row) -> str:
    return "" if row.epochs is None else f"{row.epochs} epoch{'s' * (row.epochs != 1)}"


SCORES = (
    Score(
        "top1",
        "top-1",
        "share of test images whose class comes first, with its 95 % interval",
        numbers.percent,
        1,
        _interval,
    ),
    Score("top5", "top-5", "share whose class is among the first five", numbers.percent, 1),
    Score("macro_f1", "macro-F1", "F1 of each class, averaged over classes", numbers.percent, 1),
    Score(
        "ece", "ECE", "expected calibration error: how far confidence is from accuracy, on average", numbers.percent, -1
    ),
    Score("params", "params", "trainable parameters", numbers.count, -1),
    Score("macs", "MACs", "multiply-accumulates for one image", numbers.count, -1),
    Score("size_bytes", "size", "of the ONNX file", numbers.size, -1),
    Score(
        "latency_ms_p50",
        "latency",
        "median time for one image on one thread; 95 of 100 take less than p95",
        numbers.milliseconds,
        -1,
        _p95,
    ),
    Score("throughput_ips", "images/s", "in batches on one thread", numbers.significant, 1),
    Score(
        "train_seconds", "training", "time it took, and passes over the training images", numbers.duration, 0, _epochs
    ),
)


def scores(*, classes: int) -> list[Score]:
    """Those that say something about so many classes: of five, all are among the first five."""
    return [score for score in SCORES if score.column != "top5" or classes > 5]
