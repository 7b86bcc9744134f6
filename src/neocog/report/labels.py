"""Where to write the names of points so that none covers another name, a mark or a line."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

CHARACTER = 7.0  # px: a wide guess for 13 px text, since the reader's font is not known
HEIGHT = 15.0
NEAR = 12.0  # px from point to name that needs no leader line
DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
DISTANCES = (9.0, 18.0, 30.0, 45.0, 65.0, 90.0, 120.0)
SWEEPS = 4


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        """Area shared with the other box, px^2."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    def holds(self, other: "Box") -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True)
class Label:
    """A name `distance` away from its point: text at (x, y), anchored start, middle or end; a leader ends at `near`."""

    words: str
    box: Box
    x: float
    y: float
    anchor: str
    distance: float
    near: tuple[float, float]


def place(points: Sequence[tuple[float, float, str]], *, obstacles: Sequence[Box], within: Box) -> list[Label | None]:
    """A label for every (x, y, words), the first ones choosing first; None where every place would cover another name.

    Greedy over places around each point, then a few sweeps in which each label chooses again knowing all others.
    """
    choices = [[c for c in _candidates(x, y, words) if within.holds(c.box)] for x, y, words in points]
    placed: list[Label | None] = [None] * len(points)
    for _ in range(SWEEPS):
        before = list(placed)
        for i, candidates in enumerate(choices):
            others = [label.box for j, label in enumerate(placed) if label and j != i]
            clear = [c for c in candidates if not any(c.box.overlap(box) for box in others)]
            placed[i] = min(clear, key=lambda c: _cost(c, obstacles), default=None)
        if placed == before:
            break
    return placed


def _candidates(x: float, y: float, words: str) -> list[Label]:
    width = CHARACTER * len(words)
    found = []
    for distance in DISTANCES:
        for dx, dy in DIRECTIONS:
            reach = distance / hypot(dx, dy)
            anchor = {1: "start", -1: "end", 0: "middle"}[dx]
            at, middle = x + dx * reach, y + dy * (reach + HEIGHT / 3)
            left = at - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = Box(left, middle - HEIGHT / 2, left + width, middle + HEIGHT / 2)
            near = (at - 2 * dx, middle - dy * HEIGHT / 2)
            found.append(Label(words, box, at, middle + 4.5, anchor, distance, near))
    return found


def _cost(label: Label, obstacles: Sequence[Box]) -> float:
    covered = sum(label.box.overlap(box) for box in obstacles)
    return covered + label.distance * 1.5 + (label.anchor == "middle") * 4
