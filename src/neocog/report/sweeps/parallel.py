"""Parallel coordinates of a sweep (Inselberg 1985), as SVG text: an axis a setting, a line a trial, the score at the end."""

from collections.abc import Sequence
from dataclasses import dataclass

from neocog.drawing import numbers
from neocog.drawing.axes import percents
from neocog.drawing.svg import Scale, figure, line, path, tag, text, title
from neocog.report.figures import WIDTH
from neocog.report.sweeps.figures import TODAY, about, accuracies, mark, spot
from neocog.report.sweeps.read import DEFAULTS, Sweep, SweepTrial, written
from neocog.tuning.space import Dimension

TOP, BOTTOM, HEIGHT = 62, 352, 372  # px: where axes end and begin
LEFT, RIGHT = 104, 128  # px for the words beside the first and the last axis
FAN = 22.0  # px over which the trials of one choice spread, at most
CROWD = 24  # trials, beyond which their lines are thin


@dataclass(frozen=True)
class Axis:
    """Where each trial, by number, crosses the axis, px; those without a value are not in `spots`."""

    name: str
    spots: dict[int, float]
    ticks: list[tuple[float, str]]


def parallel(sweep: Sweep) -> str:
    """Every trial through its settings to its score: bluer is better, the winner orange, those stopped early faint."""
    y = accuracies(sweep, bottom=BOTTOM, top=TOP)
    axes = [_axis(key, dimension, sweep) for key, dimension in sweep.space.items()]
    axes.append(
        Axis(
            f"val/{sweep.metric.name}",
            {t.number: spot(t, y) for t in sweep.scored},
            [(y(at), words) for at, words in percents(y, 4)],
        )
    )
    step = (WIDTH - LEFT - RIGHT) / max(1, len(axes) - 1)
    positions = [LEFT + i * step for i in range(len(axes))]
    ends = [trial for trial in sweep.scored if trial.number in (sweep.verdict.trial, DEFAULTS)]
    return figure(
        *(tag("g", *_drawn(axis, x, i, step=step)) for i, (axis, x) in enumerate(zip(axes, positions, strict=True))),
        *(_line(trial, sweep, axes, positions) for trial in _faint_first(sweep)),
        *(tag("g", *_ticks(axis, x, step=step)) for axis, x in zip(axes, positions, strict=True)),
        *(mark(trial, sweep, positions[-1], axes[-1].spots[trial.number]) for trial in ends),
        *_ends(ends, sweep, axes[-1], positions[-1]),
        width=WIDTH,
        height=HEIGHT,
        name=f"Settings and accuracy of the trials of {sweep.name}",
        about=about(sweep),
    )


def _axis(key: str, dimension: Dimension, sweep: Sweep) -> Axis:
    having = [trial for trial in sweep.trials if key in trial.values]
    if dimension.kind == "choice":
        return _choices(key, dimension, having)
    numeric = [t for t in having if isinstance(t.values[key], int | float) and not isinstance(t.values[key], bool)]
    log = dimension.kind == "log_uniform"
    inside = [float(t.values[key]) for t in numeric if t.values[key] > 0 or not log]
    low, high = min([*inside, *dimension.values]), max([*inside, *dimension.values])
    zero = len(inside) < len(numeric)  # a log scale has no place for it: it gets one of its own, below
    scale = Scale(low, high, BOTTOM - 26 * zero, TOP, log=log)
    whole = [at for at in scale.ticks(4) if dimension.kind != "integer" or at == round(at)]
    ticks = [(scale(at), written(at)) for at in (whole if len(whole) > 1 else (low, high))]
    spots = {t.number: scale(t.values[key]) if t.values[key] > 0 or not log else float(BOTTOM) for t in numeric}
    return Axis(key, spots, ticks + ([(float(BOTTOM), "0")] if zero else []))


def _choices(key: str, dimension: Dimension, having: Sequence[SweepTrial]) -> Axis:
    """Choices in their order from below, others that trials had after them; the trials of one spread, the best on top."""
    names = list(dict.fromkeys(written(value) for value in (*dimension.values, *(t.values[key] for t in having))))
    step = (BOTTOM - TOP) / max(1, len(names) - 1)
    heights = {name: BOTTOM - i * step if len(names) > 1 else (BOTTOM + TOP) / 2 for i, name in enumerate(names)}
    spots: dict[int, float] = {}
    for name, height in heights.items():
        those = sorted((t for t in having if written(t.values[key]) == name), key=lambda t: t.score or 0.0)
        gap = min(FAN, 0.5 * step) / max(4, len(those) - 1)
        spots |= {trial.number: height - gap * (i - (len(those) - 1) / 2) for i, trial in enumerate(those)}
    return Axis(key, spots, [(height, name.replace(", ", ",")) for name, height in heights.items()])


def _drawn(axis: Axis, x: float, i: int, *, step: float) -> list[str]:
    """The axis and its name; names that would not fit side by side stand at two heights."""
    room = (2 * step if step < 110 else step) - 12
    height = 16 + 18 * (i % 2) if step < 110 else 34
    name = text(x, height, axis.name, room=room, class_="name", text_anchor="middle")
    return [line(x, TOP, x, BOTTOM, class_="scale"), name]


def _ticks(axis: Axis, x: float, *, step: float) -> list[str]:
    room = max(28.0, min(step, LEFT) - 16)
    return [
        line(x - 3, at, x + 3, at, class_="scale")
        + text(x - 8, at + 4, words, room=room, class_="tick halo", text_anchor="end")
        for at, words in axis.ticks
    ]


def _line(trial: SweepTrial, sweep: Sweep, axes: Sequence[Axis], positions: Sequence[float]) -> str:
    """A trial's line, broken where it has no value; its blue lies over a grey, the stronger the more trials it beats."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for axis, x in zip(axes, positions, strict=True):
        if trial.number in axis.spots:
            pieces[-1].append((x, axis.spots[trial.number]))
        elif pieces[-1]:
            pieces.append([])
    whole = [piece for piece in pieces if len(piece) > 1]
    beaten = sum((other.score or 0.0) < (trial.score or 0.0) for other in sweep.scored) / max(1, len(sweep.scored) - 1)
    look = "won" if trial.number == sweep.verdict.trial else trial.status
    crowd = " crowd" if len(sweep.trials) > CROWD else ""
    strokes = [path(piece, class_="poor") for piece in whole]
    if trial.score is not None and look != "failed":
        strokes += [path(piece, class_="good", stroke_opacity=beaten**2) for piece in whole]
    if look == "won":
        strokes = [path(piece) for piece in whole]
    reach = [path(piece, class_="reach") for piece in whole]
    return tag("g", title(trial.description), *strokes, *reach, class_=f"run {look}{crowd}")


def _faint_first(sweep: Sweep) -> list[SweepTrial]:
    order = ("failed", "stopped", "finished")
    return sorted(
        sweep.trials, key=lambda t: (t.number == sweep.verdict.trial, order.index(t.status), t.score or 0.0, t.number)
    )


def _ends(ends: Sequence[SweepTrial], sweep: Sweep, axis: Axis, x: float) -> list[str]:
    """The names of the winner and of today's settings, apart from each other."""
    order = sorted(ends, key=lambda trial: axis.spots[trial.number])
    heights = [axis.spots[trial.number] for trial in order]
    if len(order) == 2 and (close := 32 - (heights[1] - heights[0])) > 0:
        heights = [heights[0] - close / 2, heights[1] + close / 2]
    drawn = []
    for trial, height in zip(order, heights, strict=True):
        name = TODAY if trial.number == DEFAULTS else f"trial {trial.number}"
        drawn += [
            text(x + 16, height, name, class_="name"),
            text(x + 16, height + 15, numbers.percent(trial.score or 0.0), class_="tick"),
        ]
    return drawn
