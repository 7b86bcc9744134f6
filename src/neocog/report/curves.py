"""Learning curves as SVG text: small multiples, one panel a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan

from neocog.drawing import numbers
from neocog.drawing.svg import Scale, figure, line, path, tag, text
from neocog.tasks.task import Metric

WIDTH, ROW, TALL, MOST = 1040, 204, 178, 5  # px of the whole, of a row, of a panel in it; panels in a row
AXIS, END = 40, 58  # px for the numbers left of a row; for the last value right of a curve


@dataclass(frozen=True)
class LearningCurve:
    """Validation and training scores of a model, one value an epoch, NaN where not measured."""

    name: str
    val: Sequence[float]
    train: Sequence[float]

    @property
    def last(self) -> float:
        """The last validation score that was measured; NaN if none was."""
        return next((value for value in reversed(self.val) if isfinite(value)), nan)


def learning(curves: Sequence[LearningCurve], *, metric: Metric) -> str:
    """The validation score by epoch, that of training dotted, all other models in grey behind; scales are shared."""
    rows = -(-len(curves) // MOST)
    columns = -(-len(curves) // rows)
    wide = min((WIDTH - AXIS) / columns, 420.0)
    epochs = max(2, *(len(curve.val) for curve in curves))
    seen = [v for curve in curves for v in (*curve.val, *curve.train) if isfinite(v)] or [0.0, 1.0]
    last = [curve.last for curve in curves if isfinite(curve.last)]
    low = max(
        min(seen), min([max(seen) - 0.4, *last])
    )  # a bad first epoch may fall off, or it would flatten all others
    spare = max(0.01, 0.06 * (max(seen) - low))
    panels = []
    for i, curve in enumerate(curves):
        left, top = AXIS + i % columns * wide, i // columns * ROW + 26
        x = Scale(1, epochs, left, left + wide - END)
        y = Scale(low - spare, min(1.0, max(seen) + spare), top + TALL - 34, top + 6)
        others = [other for other in curves if other is not curve]
        panels.append(_panel(curve, others, x, y, labelled=i % columns == 0))
    ends = ", ".join(f"{curve.name} {numbers.percent(curve.last)}" for curve in curves if isfinite(curve.last))
    return figure(
        *panels,
        width=AXIS + columns * wide,
        height=rows * ROW,
        name="Learning curves",
        about=f"{metric.title} on the validation images by epoch; at the end: {ends}",
    )


def _panel(curve: LearningCurve, others: Sequence[LearningCurve], x: Scale, y: Scale, *, labelled: bool) -> str:
    ticks = [tick for tick in y.ticks(3) if tick < y.high]
    grid = [line(x.start, y(tick), x.end, y(tick), class_="grid") for tick in ticks]
    if labelled:
        grid += [
            text(x.start - 6, y(tick) + 4, numbers.percent(tick, digits=0), class_="tick", text_anchor="end")
            for tick in ticks
        ]
    below, end = y.start + 17, x(max(len(curve.val), 1))
    epochs = [text(x.start, below, "epoch 1", class_="tick")]
    if end - x.start > 60:
        epochs.append(text(end, below, str(len(curve.val)), class_="tick", text_anchor="middle"))
    marks = []
    if isfinite(curve.last):
        height = min(y(curve.last), y.start)
        marks = [
            tag("circle", cx=end, cy=height, r=3, class_="mark trained"),
            text(end + 7, height + 4, numbers.percent(curve.last), class_="name"),
        ]
    return tag(
        "g",
        text(x.start, y.end - 12, curve.name, room=x.end + END - x.start - 14, class_="name"),
        *grid,
        *epochs,
        *(_line(other.val, x, y, "other") for other in others),
        _line(curve.train, x, y, "train"),
        _line(curve.val, x, y, "curve"),
        *marks,
    )


def _line(values: Sequence[float], x: Scale, y: Scale, look: str) -> str:
    seen = [(x(i + 1), min(y(value), y.start)) for i, value in enumerate(values) if isfinite(value)]
    return path(seen, class_=look) if len(seen) > 1 else ""
