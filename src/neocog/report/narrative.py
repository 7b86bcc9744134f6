"""Headline and summary of the page, in sentences that are computed from the numbers."""

from collections.abc import Callable, Mapping, Sequence

from neocog.drawing import numbers
from neocog.report.leaderboard import LeaderboardRow
from neocog.report.models import JudgedModel

CLOSE = 0.02  # of the primary metric: what still counts as near the best
LEVEL = 0.05  # of a p-value: below, a difference is more than chance
NOTABLE = 1.1  # a ratio of times or sizes worth a sentence


def names(rows: Sequence[LeaderboardRow]) -> dict[str, str]:
    """How to call each `model`: by its bare name (the published network's where it is one) where no other kind has it too, else
    `resnet (tuned)`."""
    bare = [row.network or row.name for row in rows]
    return {
        row.model: name if bare.count(name) == 1 else f"{name} ({row.kind})"
        for row, name in zip(rows, bare, strict=True)
    }


def first_of_each(models: Sequence[JudgedModel]) -> list[JudgedModel]:
    """What the history is told of: each block as it was trained, or else tuned. Not as it was compressed, perhaps distilled from
    a network of later years, unless there is nothing else."""
    trained = {model.row.name for model in models if model.row.kind == "trained"}
    own = [m for m in models if m.row.kind == "trained" or (m.row.kind == "tuned" and m.row.name not in trained)]
    return own or list(models)


def headline(rows: Sequence[LeaderboardRow], *, data: str, called: Mapping[str, str]) -> str:
    """`rows` best first."""
    best = rows[0]
    claim = best.metric.claim or f"reaches {best.metric.heading} {{}}"
    return f"On {data}, {called[best.model]} {claim.format(numbers.percent(best.score))}"


def standfirst(
    rows: Sequence[LeaderboardRow],
    *,
    images: int,
    classes: int,
    called: Mapping[str, str],
    history: Sequence[LeaderboardRow] | None = None,
) -> list[str]:
    """The sentences under the headline: how sure that is, who comes close, at what price, what the `history` gained.

    `rows` best first.
    """
    best = rows[0]
    sure = f"{numbers.percent(best.low)} to {numbers.percent(best.high)}"
    of = "The only model judged so far" if len(rows) == 1 else f"The best of {len(rows)} models"
    sentences = [f"{of}, on {images:,} test images of {classes} classes that it never saw (95 % interval {sure})."]
    return sentences + _price(rows, called) + _climb(rows if history is None else history, called)


def gains(
    rows: Sequence[LeaderboardRow], *, called: Mapping[str, str], differ: Callable[[str, str], bool]
) -> dict[str, str]:
    """How far each model is above or below the best of all earlier years; empty for those of the first year.

    `differ` says of two models whether more than chance stands between them; where it does not, they are level, whatever the gap.
    """
    return {row.model: _gain(row, [other for other in rows if other.year < row.year], called, differ) for row in rows}


def _gain(
    row: LeaderboardRow, before: Sequence[LeaderboardRow], called: Mapping[str, str], differ: Callable[[str, str], bool]
) -> str:
    if not before:
        return ""
    best = max(before, key=lambda other: other.score)
    gap = numbers.points(abs(row.score - best.score))
    if gap == numbers.points(0) or not differ(row.model, best.model):
        return f"level with {called[best.model]}, the best before it"
    return f"+{gap} over all before it" if row.score > best.score else f"{gap} below {called[best.model]}"


def _price(rows: Sequence[LeaderboardRow], called: Mapping[str, str]) -> list[str]:
    best, rest = rows[0], rows[1:]
    close = [row for row in rest if row.score >= best.score - CLOSE]
    if not rest:
        return []
    if not close:
        gap = numbers.points(best.score - rest[0].score)
        return [f"Nothing comes within {numbers.points(CLOSE)}: {called[rest[0].model]}, the next, is {gap} behind."]
    fast = min(close, key=lambda row: row.latency_ms_p50)
    small = min(close, key=lambda row: row.size_bytes)
    ratio = numbers.times(best.latency_ms_p50 / fast.latency_ms_p50)
    share = numbers.significant(100 * small.size_bytes / best.size_bytes, digits=2)
    speed = f"answers {ratio} as fast ({numbers.milliseconds(fast.latency_ms_p50)} an image)"
    space = f"takes {share}{numbers.THIN}% of the space ({numbers.size(small.size_bytes)})"
    faster = best.latency_ms_p50 > NOTABLE * fast.latency_ms_p50
    smaller = best.size_bytes > NOTABLE * small.size_bytes
    if faster and smaller and fast is small:
        return [f"{_for(fast, best)} {called[fast.model]} {speed} and {space}."]
    sentences = [f"{_for(fast, best)} {called[fast.model]} {speed}."] if faster else []
    sentences += [f"{_for(small, best)} {called[small.model]} {space}."] if smaller else []
    return sentences or [f"No model within {numbers.points(CLOSE)} of it is clearly faster or smaller."]


def _for(row: LeaderboardRow, best: LeaderboardRow) -> str:
    lost = numbers.points(best.score - row.score)
    return "Just as accurate," if lost == numbers.points(0) else f"At {lost} less,"


def _climb(rows: Sequence[LeaderboardRow], called: Mapping[str, str]) -> list[str]:
    first = min(rows, key=lambda row: (row.year, -row.score))
    best = rows[0]
    if first.year >= best.year or best.score <= first.score:
        return []
    gain = numbers.points(best.score - first.score)
    return [f"From {called[first.model]} ({first.year}) to {called[best.model]} ({best.year}) is a climb of {gain}."]
