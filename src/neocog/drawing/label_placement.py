"""Label placement: names in a figure, cut to their room, none over another name, a mark or a line."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import dist, hypot

from neocog.drawing import text_width

AIR = 4.0  # px kept free beside a name
HEIGHT = 15.0
NEAR = 12.0  # px from point to name that needs no leader line
MARK = 7.0  # px from the middle of a point to where its leader starts
CROSSED, TANGLED = 4.0, 20.0  # px^2 that a px of a leader counts for inside an obstacle, inside another name
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

    def crossing(self, start: tuple[float, float], end: tuple[float, float]) -> float:
        """Length of the straight line from start to end that lies inside, px (Liang & Barsky 1984)."""
        enters, leaves = 0.0, 1.0
        for a, b, low, high in (
            (start[0], end[0], self.left, self.right),
            (start[1], end[1], self.top, self.bottom),
        ):
            if a == b:
                if not low < a < high:
                    return 0.0
                continue
            first, last = sorted(((low - a) / (b - a), (high - a) / (b - a)))
            enters, leaves = max(enters, first), min(leaves, last)
        return max(0.0, leaves - enters) * dist(start, end)

    def holds(self, other: "Box") -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True)
class Label:
    """A name `distance` away from its point: text at (x, y), anchored start, middle or end.

    A leader, where it needs one, goes from `start`, off the point's mark, to `near`.
    """

    words: str
    box: Box
    x: float
    y: float
    anchor: str
    distance: float
    start: tuple[float, float]
    near: tuple[float, float]

    @property
    def led(self) -> bool:
        """Whether it is so far away that a line must lead to it."""
        return self.distance > NEAR


def cut(words: str, width: int, *, end: bool = True) -> str:
    """`words` in `width` characters: what is too much goes from the end, or from the beginning."""
    if len(words) <= width:
        return words
    return words[: max(1, width - 1)] + "…" if end else "…" + words[1 - width :]


def place(points: Sequence[tuple[float, float, str]], *, obstacles: Sequence[Box], within: Box) -> list[Label | None]:
    """A label for every (x, y, words), the first ones choosing first; None where every place would cover another name.

    Greedy over places around each point, then a few sweeps in which each label chooses again knowing all others.
    """
    choices = [
        [(c, _cost(c, obstacles)) for c in _candidates(x, y, words) if within.holds(c.box)] for x, y, words in points
    ]
    placed: list[Label | None] = [None] * len(points)
    for _ in range(SWEEPS):
        before = list(placed)
        for i, candidates in enumerate(choices):
            others = [label for j, label in enumerate(placed) if label and j != i]
            clear = [(c, cost) for c, cost in candidates if not any(c.box.overlap(other.box) for other in others)]
            placed[i], _ = min(clear, key=lambda pair: pair[1] + _tangle(pair[0], others), default=(None, 0.0))
        if placed == before:
            break
    return placed


def _candidates(x: float, y: float, words: str) -> list[Label]:
    width = text_width.width(words, look="name") + AIR
    found = []
    for distance in DISTANCES:
        for dx, dy in DIRECTIONS:
            reach = distance / hypot(dx, dy)
            anchor = {1: "start", -1: "end", 0: "middle"}[dx]
            at, middle = x + dx * reach, y + dy * (reach + HEIGHT / 3)
            left = at - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = Box(left, middle - HEIGHT / 2, left + width, middle + HEIGHT / 2)
            near = (at - 2 * dx, middle - dy * HEIGHT / 2)
            whole = dist((x, y), near)
            part = min(1.0, MARK / whole) if whole else 1.0
            start = (x + part * (near[0] - x), y + part * (near[1] - y))
            found.append(Label(words, box, at, middle + 4.5, anchor, distance, start, near))
    return found


def _cost(label: Label, obstacles: Sequence[Box]) -> float:
    """How bad a place is in itself: what its name and its leader cover, and how far away it is."""
    covered = sum(label.box.overlap(box) for box in obstacles)
    if label.led:
        covered += CROSSED * sum(box.crossing(label.start, label.near) for box in obstacles)
    return covered + label.distance * 1.5 + (label.anchor == "middle") * 4


def _tangle(label: Label, others: Sequence[Label]) -> float:
    """How bad it is beside the other names: leaders that run through names."""
    through = sum(other.box.crossing(label.start, label.near) for other in others) if label.led else 0.0
    through += sum(label.box.crossing(other.start, other.near) for other in others if other.led)
    return TANGLED * through
