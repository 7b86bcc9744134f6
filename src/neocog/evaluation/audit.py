"""Data audit: images that two splits share, and a model's score without them.

What a task doubts of its own targets is in tasks/<task>/audit.py.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from neocog.data.prepared import Prepared
from neocog.evaluation.duplicates import near_duplicates
from neocog.statistics import Bools
from neocog.tasks.task import Metric, task


@dataclass(frozen=True)
class Twins:
    """Image `id` of `split` and the nearest one of an earlier split; `distance` is the root mean square difference of their pixels in
    gray levels of 255."""

    split: str
    id: str
    source: str
    label: str
    other_split: str
    other_id: str
    other_source: str
    other_label: str
    distance: float


def twins(data: Prepared, *, within: float) -> list[Twins]:
    """For each image the nearest one of every earlier split that is at most `within` gray levels away, the nearest pairs first."""
    parts = {name: data.split(name) for name in data.counts}
    known = {
        name: list(
            zip(
                map(str, part.ids),
                data.samples(name, columns=["source"]).column("source").to_pylist(),
                (
                    ", ".join(data.classes[each] for each in shown)
                    for shown in task(data.task).targets.present_classes(part.targets)
                ),
                strict=True,
            )
        )
        for name, part in parts.items()
    }
    return [
        Twins(
            pair.split,
            *known[pair.split][pair.row],
            pair.other,
            *known[pair.other][pair.other_row],
            round(pair.distance, 4),
        )
        for pair in near_duplicates({name: part.images for name, part in parts.items()}, within=within)
    ]


def summary(
    pairs: Sequence[Twins], ids: Iterable[str], score: Callable[[Bools], float], *, metric: Metric
) -> dict[str, float]:
    """In numbers: the twins of all splits, and the `score` of the test images `ids` with and without those that have one in train."""
    known = {pair.id for pair in pairs if (pair.split, pair.other_split) == ("test", "train")}
    fresh = np.array([name not in known for name in ids])
    return {
        "twins": len(pairs),
        "twins_labelled_otherwise": sum(pair.label != pair.other_label for pair in pairs),
        "test_images": len(fresh),
        "test_twins": len(known),
        metric.name: round(score(np.ones(len(fresh), bool)), 6),
        **({f"{metric.name}_without_twins": round(score(fresh), 6)} if fresh.any() else {}),
    }
