"""Sentences about a model's calibration, abstention and groups, computed from the numbers."""

from neocog.drawing import numbers
from neocog.statistics.slices import FEW, Gap, ahead
from neocog.tasks.classification.chapters.trust.read import CLASS, Trust
from neocog.tasks.classification.trust import RISK

HONEST = 0.02  # of calibration error: what still counts as honest


def calibrated(found: Trust) -> str:
    """Whether it is too sure or too modest, and what a temperature makes of it."""
    ece, after, temperature = (found.score(name) for name in ("ece", "ece_at_temperature", "temperature"))
    if ece is None:
        return ""
    lean = sum(each.images * (each.accuracy - each.confidence) for each in found.bins)
    how = (
        "about as sure as it is right" if ece < HONEST else "more often right than it says" if lean > 0 else "too sure"
    )
    sentence = f"It is {how}: confidence and accuracy are {numbers.points(ece)} apart on average (ECE)."
    if after is None or temperature is None:
        return sentence
    return f"{sentence} With its logits divided by {temperature:.2f}, fitted on validation images, {numbers.points(after)}."


def answering(found: Trust) -> str:
    """How much it can answer at a small risk."""
    coverage, area = found.score("coverage_at_risk_5"), found.score("aurc")
    if coverage is None or area is None:
        return ""
    risk = numbers.percent(RISK, digits=0)
    share = numbers.percent(coverage)
    if coverage >= 1:
        return f"It can answer every image and is wrong on fewer than {risk}. Area under the curve: {area:.4f}."
    surest = f"If it answers only the {share} of images of which it is surest, it is wrong on {risk} of them."
    return f"{surest} Area under the curve: {area:.4f}."


def fair(found: Trust) -> str:
    """The worst group and how far it is behind."""
    if found.extremes is None:
        return f"No two groups have {FEW} images, so none is called the worst."
    worst, best = found.extremes
    column = "class" if worst.column == CLASS else worst.column
    return (
        f"By {column}, it is worst on {worst.value}: {numbers.percent(worst.score)} "
        f"[{numbers.percent(worst.low)} – {numbers.percent(worst.high)}], {_gap(ahead(best, worst))} behind {best.value}."
    )


def alike(found: Trust) -> str:
    """How differently it treats the groups that came with the images; empty without such."""
    parity, odds = (found.gap(name) for name in ("demographic_parity_gap", "equalized_odds_gap"))
    if parity is None:
        return ""
    sentence = f"It calls images of one group by a class up to {_gap(parity)} more often than those of another (demographic parity)"
    if odds is None:
        return f"{sentence}."
    return f"{sentence}; of images that are all of a class, or all of others, up to {_gap(odds)} (equalized odds)."


def _gap(gap: Gap) -> str:
    return f"{numbers.points(gap[0])} {interval(gap)}"


def interval(gap: Gap) -> str:
    """The ends of a gap's interval, in points."""
    return f"[{100 * gap[1]:.1f} – {100 * gap[2]:.1f}]"


def seeds(found: Trust) -> str:
    """How much the draw of random numbers moves it; empty if it was trained once."""
    if found.seeds is None:
        return ""
    spread = f"{numbers.percent(found.seeds.mean)} ± {numbers.points(found.seeds.spread)}"
    runs = ", ".join(numbers.percent(top1) for top1 in found.seeds.top1)
    sentence = (
        f"Trained with {len(found.seeds.top1)} seeds it reaches {spread} (mean and standard deviation of {runs})."
    )
    return f"{sentence} The first is the one on this page."
