"""Sentences about the fragile layers of a network."""

from neocog.drawing import numbers
from neocog.inspect.sensitivity.changes import Kind
from neocog.inspect.sensitivity.measure import Sensitivity, Tried

LIMIT = 0.02  # of top-1: a layer that costs more is called fragile
AT: dict[Kind, tuple[float, str]] = {
    "ratio": (0.5, "without half of its channels"),
    "bits": (4, "with weights of 4 bits"),
}
NAMED = 4


def sentences(found: Sensitivity) -> list[str]:
    """One for narrowing and one for rounding, where there is something to narrow or round."""
    return [_sentence(found, kind) for kind in AT if found.of(kind)]


def name(tried: Tried) -> str:
    """The first layer, and how many go with it: `features.0 + 2`."""
    first, *others = tried.layers
    return f"{first} + {len(others)}" if others else first


def _sentence(found: Sensitivity, kind: Kind) -> str:
    amount, words = AT[kind]
    tried = sorted((each for each in found.of(kind) if each.amount == amount), key=lambda each: -found.drop(each))
    fragile = [each for each in tried if found.drop(each) > LIMIT]
    if not fragile:
        return f"No layer loses more than {numbers.points(LIMIT)} {words}; most, {_lost(found, tried[0])}."
    losses = ", ".join(_lost(found, each) for each in fragile[:NAMED])
    more = f" and {len(fragile) - NAMED} more" if len(fragile) > NAMED else ""
    rest = tried[len(fragile) :]
    verb = "loses" if len(rest) == 1 else "lose"
    least = f"; the other {len(rest)} {verb} at most {_points(found, rest[0])}" if rest else ""
    return f"Fragile {words}: {losses}{more}{least}."


def _lost(found: Sensitivity, tried: Tried) -> str:
    return f"{name(tried)} ({_points(found, tried)})"


def _points(found: Sensitivity, tried: Tried) -> str:
    return numbers.points(max(0.0, found.drop(tried)))
