"""Sentences about the result of a sweep, computed from it."""

from neocog.drawing import numbers
from neocog.report.sweeps.figures import below
from neocog.report.sweeps.importance import LEAST, comparable
from neocog.report.sweeps.read import DEFAULTS, Sweep, SweepVerdict, written
from neocog.tuning.space import Dimension

ENDS = {"stopped": "stopped early", "failed": "failed"}
SEARCHERS = {
    "random": "drawn at random",
    "grid": "from a grid",
    "optuna": "proposed by Optuna (TPE)",
    "optuna-cmaes": "proposed by Optuna (CMA-ES)",
}
SCHEDULERS = {
    "asha": "ASHA stops trials that lag behind",
    "hyperband": "Hyperband stops trials that lag behind",
    "median": "a trial below the median of the others is stopped",
    "pbt": "trials that lag behind go on from the weights of better ones, with changed settings",
    "none": "none is stopped early",
}


def verdict(sweep: Sweep) -> str:
    """Whether the best trial's settings are better than today's, how sure that is, and what follows."""
    found = sweep.verdict
    if found.trial == DEFAULTS or found.score is None or found.difference is None:
        return f"{sweep.name}: {_of(sweep)}, number {DEFAULTS}, today's settings, was best, so they stay."
    today = next((trial.values for trial in sweep.trials if trial.number == DEFAULTS), {})
    values = {key: found.values[key] for key in sweep.space if key in found.values}
    change = ", ".join(f"{key} {written(value)}" for key, value in values.items() if today.get(key) != value)
    best = f"{sweep.name}: {_of(sweep)}, number {found.trial} was best ({change or 'nothing changed'})."
    seeds = f" (± {100 * found.spread:.1f} over {found.seeds} seeds)" if found.spread is not None else ""
    reached = f"Trained in full it reaches {numbers.percent(found.score)}{seeds} on validation"
    return f"{best} {reached}, {_apart(found, found.difference)}, {_therefore(found, found.difference)}."


def searched(sweep: Sweep) -> str:
    """What was searched, and how."""
    ranges = "; ".join(f"{key} {_range(dimension)}" for key, dimension in sweep.space.items())
    searcher = SEARCHERS.get(sweep.searcher, f"chosen by {sweep.searcher}")
    return (
        f"Searched: {ranges or 'nothing'}. Settings are {searcher}; {SCHEDULERS.get(sweep.scheduler, sweep.scheduler)}."
    )


def edge(sweep: Sweep) -> str:
    """Which trials lie outside the charts, in a sentence; empty if all are inside."""
    count, low = below(sweep)
    if not count:
        return ""
    return (
        f"{_many(count, 'trial')} below {numbers.percent(low)} {'is' if count == 1 else 'are'} drawn on the lower edge."
    )


def unexplained(sweep: Sweep) -> str:
    """Why there is no picture of what mattered."""
    count = len(comparable(sweep))
    if count >= LEAST:
        return f"The {count} trials that can be compared came out alike, so they do not say which settings matter."
    can = f"{_many(count, 'trial')} can" if count else "No trial can"
    return f"{can} be compared (an epoch ended, not failed, inside the space): too few to say which settings matter, it takes {LEAST}."


def _of(sweep: Sweep) -> str:
    counts = {status: sum(trial.status == status for trial in sweep.trials) for status in ENDS}
    ends = ", ".join(f"{count} {ENDS[status]}" for status, count in counts.items() if count)
    return f"of {_many(len(sweep.trials), 'trial')}" + (f" ({ends})" if ends else "")


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _apart(found: SweepVerdict, difference: float) -> str:
    """The paired difference to today's settings, with what is known of its certainty."""
    today = f"today's settings at {numbers.percent(found.baseline)}"
    size = numbers.points(abs(difference))
    position = f"{size} {'above' if difference > 0 else 'below'} {today}"
    if size == numbers.points(0):
        position = f"level with {today}"
    sure = []
    if found.low is not None and found.high is not None:
        sure.append(f"95{numbers.THIN}% interval {_signed(found.low)} to {_signed(found.high)}")
    if found.p_value is not None:
        sure.append("p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.2g}")
    return f"{position} ({', '.join(sure)})" if sure else position


def _therefore(found: SweepVerdict, difference: float) -> str:
    if found.better:
        return "so the tuned model has its settings"
    return f"{'which chance could explain' if difference > 0 else 'no better'}, so today's settings stay"


def _signed(fraction: float) -> str:
    rounded = round(100 * fraction, 1)
    return f"{'−' if rounded < 0 else ''}{abs(rounded):.1f}"


def _range(dimension: Dimension) -> str:
    if dimension.kind == "choice":
        return "one of " + ", ".join(written(value) for value in dimension.values)
    low, high = map(written, dimension.values)
    return f"{low} to {high}{' on a log scale' if dimension.kind == 'log_uniform' else ''}"
