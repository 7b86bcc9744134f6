"""Sentences about the result of a recipe, computed from it."""

from collections.abc import Callable, Mapping

from neocog.drawing import numbers
from neocog.report.compression.recipe import CompressedModel
from neocog.report.compression.verdict import JudgedGoal, RecipeStep
from neocog.report.sweeps.read import written

PARTS = {1 / 2: "half", 1 / 3: "a third", 1 / 4: "a quarter", 1 / 5: "a fifth", 1 / 10: "a tenth"}
NEAR = 0.06  # how far from such a part, as a share of it, still counts as one
SAME = 0.02  # of a size or a speed: what is not worth a word


def verdict(recipe: CompressedModel, *, called: Mapping[str, str]) -> str:
    """How much smaller, faster and less accurate the model is than its parent, and how sure that is, in a sentence."""
    parent = called[recipe.parent.row.model]
    if not any(step.kept for step in recipe.verdict.steps):
        return f"No step was kept, so this is {parent} again."
    sizes = " instead of ".join(numbers.size(each.row.size_bytes) for each in (recipe.model, recipe.parent))
    parts = [f"{large(recipe.share)} as {parent} ({sizes})", fast(recipe.verdict.speedup), _accurate(recipe)]
    whole = f"{parts[0]}, {parts[1]} and {parts[2]}."
    return whole[0].upper() + whole[1:]


def outcome(recipe: CompressedModel) -> str:
    """Whether the goals are met, and why the recipe ended early if it did."""
    told, goals = recipe.verdict, recipe.verdict.goals
    missed = [goal for goal in goals if goal.missed]
    undecided = [goal for goal in goals if not goal.met and not goal.missed]
    if not goals:
        said = "No goals were set."
    elif missed:
        said = f"{len(missed)} of {len(goals)} goals {'is' if len(missed) == 1 else 'are'} missed."
    elif undecided:
        said = f"{told.images:,} validation images do not decide whether its goals are met."
    else:
        said = "Its goal is met." if len(goals) == 1 else f"All {len(goals)} goals are met."
    if told.ended:
        return f"It ended early, which counts as missed: {told.ended}. {said}"
    return said


def goal(asked: JudgedGoal) -> str:
    """One goal, what was reached, and by how much it is met or missed."""
    of_score = asked.goal.endswith("_drop")  # max_<primary metric>_drop
    other = (f"{asked.goal} {{}}", "{:g}".format, "{:g}".format)
    wish, unit, room = DROP if of_score else GOALS.get(asked.goal, other)
    value = _drop(asked.value) if of_score else unit(asked.value)
    by = room(abs(asked.by))
    said = f"missed by {by}" if asked.missed else f"met with {by} to spare" if asked.by else "met exactly"
    if not asked.met and not asked.missed:
        said = f"not decided: between {_drop(asked.low or 0.0)} and {_drop(asked.high or 0.0)} by so few images"
    return f"{wish.format(unit(asked.limit))}: {value}, {said}"


def settings(step: RecipeStep) -> str:
    """What the step was told: `ratio 0.5; training: epochs 3, lr 0.05`."""
    own = [f"{key} {written(value)}" for key, value in step.settings.items() if key != "train"]
    train = step.settings.get("train")
    if train is not None:
        told = ", ".join(f"{key} {written(value)}" for key, value in train.items())
        own.append(f"trained on: {told}" if told else "trained on")
    return "; ".join(own)


def large(share: float) -> str:
    """`a third as large`, `27 % as large`, `as large`."""
    for part, name in PARTS.items():
        if abs(share / part - 1) < NEAR:
            return f"{name} as large"
    if abs(share - 1) < SAME:
        return "as large"
    if share > 1:
        return f"{numbers.times(share)} as large"
    return f"{numbers.significant(100 * share, digits=2)}{numbers.THIN}% as large"


def fast(speedup: float) -> str:
    """`2.1 times as fast in batches`."""
    if abs(speedup - 1) < SAME:
        return "just as fast in batches"
    return f"{numbers.significant(speedup, digits=2)} times as fast in batches"


def _accurate(recipe: CompressedModel) -> str:
    """The paired difference on the test images, its 95 % interval, and whether chance could explain it."""
    found = recipe.paired
    low, high = (_signed(end) for end in (found.low, found.high))
    sure = f"95{numbers.THIN}% interval {low} to {high}"
    if not found.difference:
        return f"exactly as accurate on the test images ({sure})"
    side = "higher" if found.difference > 0 else "lower"
    chance = ", which chance could explain" if found.low <= 0 <= found.high else ""
    return f"{_points(abs(found.difference))} {side} on the test images ({sure}){chance}"


def _drop(fraction: float) -> str:
    if not fraction:
        return "level"
    return f"{_points(abs(fraction))} {'lower' if fraction > 0 else 'higher'}"


def _points(fraction: float) -> str:
    told = f"{100 * fraction:.2f}".rstrip("0").rstrip(".")
    return f"{told} point{'s' * (told != '1')}"


def _signed(fraction: float) -> str:
    rounded = round(100 * fraction, 2)
    return f"{'−' if rounded < 0 else ''}{abs(rounded):.2f}"


def _ratio(value: float) -> str:
    return numbers.significant(value, digits=2)


Told = Callable[[float], str]
DROP = ("at most {} lower on the validation images", _points, _points)
GOALS: dict[
    str, tuple[str, Told, Told]
] = {  # what is asked for, how its values are written, and how differences of them
    "min_speedup": ("at least {} as fast in batches", lambda value: f"{_ratio(value)} times", _ratio),
    "max_bytes": ("at most {}", numbers.size, numbers.size),
}
