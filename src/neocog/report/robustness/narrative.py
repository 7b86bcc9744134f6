"""Sentences about robustness: the most robust model, and the worst corruption."""

from neocog.drawing import numbers
from neocog.report.robustness.read import RobustnessFindings, RobustnessScores

SPELLED = {"gaussian": "Gaussian", "jpeg": "JPEG"}


def words(corruption: str) -> str:
    """`jpeg_compression` -> JPEG compression."""
    return " ".join(SPELLED.get(word, word) for word in corruption.split("_"))


def verdict(found: RobustnessFindings) -> str:
    """Who withstands best, and what costs most and least, on average over the models."""
    costs = {name: _mean_loss(found, name) for name in found.corruptions}
    worst, least = max(costs, key=lambda name: costs[name]), min(costs, key=lambda name: costs[name])
    hurts = (
        f"What costs most is {words(worst)}: {numbers.points(costs[worst])} of {found.metric.heading} on average. "
        f"What costs least is {words(least)}: {numbers.points(costs[least])}."
    )
    return f"{_best(found)} {hurts}".strip()


def how(found: RobustnessFindings) -> str:
    """How to read the heat map."""
    severities = len(next(iter(found.models[0].scores.values())))
    over = f", averaged over {severities} severities" if severities > 1 else ""
    return (
        f"{found.metric.title} in % on {found.images:,} test images{over}; the deeper the orange, the more was lost against the clean "
        "images. "
        f"mCE compares a model's errors with those of {found.baseline}, corruption by corruption: {found.baseline} has 100, less is better."
    )


def about(found: RobustnessFindings) -> str:
    """The heat map for the ear: each model's mean over all corruptions."""
    return "; ".join(
        f"{model.name}: {numbers.percent(model.clean)} clean, {numbers.percent(_corrupted(model))} corrupted"
        for model in found.models
    )


def _best(found: RobustnessFindings) -> str:
    first = found.models[0]
    if first.mce is None or len(found.models) == 1:
        return ""
    if first.name == found.baseline:
        return f"No other model withstands better than {first.name}."
    part = numbers.percent(first.mce / 100, digits=0)
    return (
        f"{first.name} withstands best: under corruption it makes {part} of the mistakes that {found.baseline} makes."
    )


def _corrupted(model: RobustnessScores) -> float:
    return sum(map(model.under, model.scores)) / len(model.scores)


def _mean_loss(found: RobustnessFindings, corruption: str) -> float:
    return sum(model.clean - model.under(corruption) for model in found.models) / len(found.models)
