"""Figures of a sweep as SVG text: its trials in their order with the best so far, and the importance of each setting.

The mark of a trial tells its status: a circle if finished, a triangle if stopped early, a cross if failed; the winner is the
diamond of a tuned model, and a ring is around today's settings.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from neocog.drawing import axes, numbers, text_width
from neocog.drawing.label_placement import Box, place
from neocog.drawing.svg import Scale, figure, line, marker, path, tag, text, title
from neocog.report.figures import HALF
from neocog.report.sweeps.read import DEFAULTS, LISTED, Sweep, SweepTrial

HEIGHT, ROW = 372, 30  # px of the history; of a bar
SPAN = 0.02  # of the score that a scale spans at least
FAR = 4.0  # times the median trial's distance from the best: how far below it a scale reaches at most
KEY = 200.0  # px for the name of a setting
TOLD = 5
TODAY = "today's settings"


def history(sweep: Sweep) -> str:
    """The validation score of each trial in order; the grey steps are the best so far."""
    last = max(trial.number for trial in sweep.trials)
    x = Scale(0, max(1, last), 66, HALF - 18)
    y = accuracies(sweep, bottom=HEIGHT - 62, top=48)
    spots = [(x(trial.number), spot(trial, y)) for trial in sweep.trials]
    steps = _record(sweep, x, y)
    marked = [trial for trial in sweep.trials if trial.number in (sweep.verdict.trial, DEFAULTS)]
    words = [(x(t.number), spot(t, y), TODAY if t.number == DEFAULTS else f"trial {t.number}") for t in marked]
    marks = [Box(a - 8, b - 8, a + 8, b + 8) for a, b in spots]
    marks += [Box(a - 14, b - 14, a + 14, b + 14) for a, b, _ in words]
    labels = place(words, obstacles=[*marks, *axes.walls(steps)], within=Box(50, 26, HALF - 2, HEIGHT - 44))
    ticks = [tick for tick in x.ticks(6) if tick == round(tick) and tick <= last]
    return figure(
        *(line(48, y(tick), HALF, y(tick), class_="grid") for tick in y.ticks(4)),
        *(text(42, y(tick) + 4, words, class_="tick", text_anchor="end") for tick, words in axes.percents(y, 4)),
        text(0, 12, f"{sweep.metric.heading}, validation images", class_="axis"),
        *(text(x(tick), HEIGHT - 30, f"{tick:.0f}", class_="tick", text_anchor="middle") for tick in ticks),
        text(HALF - 12, HEIGHT - 8, "trial", class_="axis", text_anchor="end"),
        path(steps, class_="record") if len(steps) > 1 else "",
        *(mark(trial, sweep, a, b) for trial, (a, b) in zip(sweep.trials, spots, strict=True)),
        *(axes.named(label) for label in labels if label),
        _key(sweep.trials),
        width=HALF,
        height=HEIGHT,
        name=f"Trials of {sweep.name} in their order",
        about=about(sweep),
    )


def bars(importances: Mapping[str, float], *, name: str, score: str) -> str:
    """How much of the differences of the `score`, as it is called, each setting explains, as horizontal bars, in the order given."""
    left = 18 + min(KEY, text_width.longest(list(importances)))
    x = Scale(0, max(importances.values()) or 1.0, left, HALF - 52)
    drawn = []
    for i, (key, share) in enumerate(importances.items()):
        middle, words = 36 + i * ROW, numbers.percent(share, digits=0)
        drawn += [
            text(left - 10, middle + 4, key, room=KEY, text_anchor="end"),
            tag(
                "rect",
                title(f"{key}: {words}"),
                x=left,
                y=middle - 8,
                width=x(share) - left + 1,
                height=16,
                class_="share",
            ),
            text(x(share) + 8, middle + 4, words, class_="tick"),
        ]
    return figure(
        text(0, 12, f"importance: share of the variance of {score} that it explains alone (fANOVA)", class_="axis"),
        *drawn,
        width=HALF,
        height=36 + len(importances) * ROW,
        name=f"How much each setting of {name} matters",
        about=", ".join(f"{key} {numbers.percent(share, digits=0)}" for key, share in importances.items()),
    )


def about(sweep: Sweep) -> str:
    """The best trials in words, as many as an ear can take."""
    best = sorted(sweep.scored, key=lambda trial: -(trial.score or 0.0))[:TOLD]
    return f"{len(sweep.trials)} trials, the most accurate first: " + "; ".join(trial.description for trial in best)


def accuracies(sweep: Sweep, *, bottom: float, top: float) -> Scale:
    """The scale of scores; one hopeless trial does not flatten all others, `spot` puts it on the edge."""
    found = sorted(trial.score for trial in sweep.scored if trial.score is not None) or [0.0, 1.0]
    best = found[-1]
    low = max(found[0], best - max(SPAN, FAR * (best - median(found))))
    spare = max(0.08 * (best - low), (SPAN - (best - low)) / 2)
    return Scale(max(0.0, low - spare), min(1.0, best + spare), bottom, top)


def below(sweep: Sweep) -> tuple[int, float]:
    """How many scored trials lie below the scale, and where it begins."""
    scale = accuracies(sweep, bottom=0, top=1)
    return sum(trial.score is not None and trial.score < scale.low for trial in sweep.trials), scale.low


def spot(trial: SweepTrial, y: Scale) -> float:
    """The height of a trial, px; on the lower edge if it is below the scale or has no score."""
    return y.start if trial.score is None else min(y(trial.score), y.start)


def mark(trial: SweepTrial, sweep: Sweep, x: float, y: float) -> str:
    """The mark of a trial at (x, y), with all about it on hover."""
    won = trial.number == sweep.verdict.trial
    ring = tag("circle", cx=x, cy=y, r=8.5, class_="ring") if trial.number == DEFAULTS else ""
    return tag(
        "g", title(trial.description), marker("tuned", x, y, radius=5.5) if won else _shape(trial.status, x, y), ring
    )


def _shape(status: str, x: float, y: float) -> str:
    if status == "failed":
        arms = [path([(x - 4, y + dy), (x + 4, y - dy)], class_="cross") for dy in (-4.0, 4.0)]
        return "".join(arms)
    if status == "stopped":
        corners = " ".join(f"{x + dx:.2f},{y + dy:.2f}" for dx, dy in ((0, 6), (6, -4.3), (-6, -4.3)))
        return tag("polygon", points=corners, class_="mark stopped")
    return tag("circle", cx=x, cy=y, r=5, class_="mark finished")


def _record(sweep: Sweep, x: Scale, y: Scale) -> list[tuple[float, float]]:
    """The staircase of the best so far, px."""
    steps: list[tuple[float, float]] = []
    for trial in sweep.scored:
        at = (x(trial.number), spot(trial, y))
        if not steps or at[1] < steps[-1][1]:
            steps += [(at[0], steps[-1][1]), at] if steps else [at]
    return [*steps, (x.end, steps[-1][1])] if steps else []


def _key(trials: Sequence[SweepTrial]) -> str:
    """What the shapes mean, where there is more than one."""
    seen = [status for status in LISTED if any(trial.status == status for trial in trials)]
    drawn, right = [], HALF - 4.0
    for status in reversed(seen if len(seen) > 1 else []):
        words = "stopped early" if status == "stopped" else status
        right -= text_width.width(words, look="tick") + 28
        drawn += [_shape(status, right + 6, 8), text(right + 16, 12, words, class_="tick")]
    return tag("g", *drawn) if drawn else ""
