"""Compare two bundles of one model: bit-identical, or how far apart in weights and on the test images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from neocog.bundle import sparse
from neocog.bundle.read import CARD, GRAPH, WEIGHTS, Bundle
from neocog.data.prepared import Prepared
from neocog.evaluation import predictions
from neocog.reproduce.causes import causes
from neocog.tasks.task import task

BATCH, BINS = 256, 15


@dataclass(frozen=True)
class Weights:
    """How many values there are, how many differ, and the largest difference; `shapes` are the same or not."""

    shapes: bool
    values: int
    changed: int
    largest: float


@dataclass(frozen=True)
class Answers:
    """On `images` test images: how far the task finds them alike, and metrics as they were and as they are."""

    images: int
    agreement: float
    equal: bool
    metrics: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Comparison:
    """What came of it. `files`: which of the bundle's files have the same bytes; `answers` only where graphs differ."""

    files: Mapping[str, bool]
    weights: Weights
    answers: Answers | None
    causes: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """The same weights, and a graph that gives the same answers to the last bit."""
        return self.files[WEIGHTS] and (self.files[GRAPH] or (self.answers is not None and self.answers.equal))


def compare(before: Bundle, after: Bundle, data: Callable[[], Prepared]) -> Comparison:
    """Hold `after` against `before`; `data` opens the prepared images, which only differing graphs are asked about."""
    files = {
        name: (before.folder / name).read_bytes() == (after.folder / name).read_bytes()
        for name in (WEIGHTS, GRAPH, CARD)
    }
    answers = None if files[GRAPH] else ask(before, after, data())
    return Comparison(files, weigh(before, after), answers, tuple(causes(before, after)))


def weigh(before: Bundle, after: Bundle) -> Weights:
    """The weights of both, value by value."""
    ours, theirs = (sparse.load(each.folder / WEIGHTS) for each in (before, after))
    same = {name: each.shape for name, each in ours.items()} == {name: each.shape for name, each in theirs.items()}
    values = sum(each.size for each in ours.values())
    if not same:
        return Weights(False, values, values, float("nan"))
    gaps = [np.abs(ours[name].astype(np.float64) - theirs[name].astype(np.float64)) for name in ours]
    changed = sum(int(np.count_nonzero(gap)) for gap in gaps)
    return Weights(True, values, changed, max((float(gap.max()) for gap in gaps if gap.size), default=0.0))


def ask(before: Bundle, after: Bundle, data: Prepared) -> Answers:
    """Both graphs on the test images."""
    predictions.match(before, data)
    predictions.match(after, data)
    test = data.split("test")
    ours, theirs = (predictions.outputs(each, test.images, batch_size=BATCH) for each in (before, after))
    metrics = task(before.task).metrics
    scores = [metrics.numbers(each, test.targets, bins=BINS) for each in (ours, theirs)]
    return Answers(
        images=len(test.targets),
        agreement=float(metrics.agreement(ours, theirs).mean()),
        equal=bool(np.array_equal(ours, theirs)),
        metrics={f"test/{name}": (was, scores[1][name]) for name, was in scores[0].items()},
    )
