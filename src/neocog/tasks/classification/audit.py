"""Write suspected label errors (confident learning) to labels.csv, by name, for a person to look at.

Nothing is dropped: about half of what confident learning flags in well-known test sets is a real error (Northcutt, Athalye & Mueller 2021,
arXiv:2103.14749), the other half is hard images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.core import csv_table
from neocog.data.prepared import Prepared, Split
from neocog.statistics.intervals import wilson
from neocog.tasks.classification import label_errors, predictions
from neocog.tasks.classification.predictions import Predictions

LABELS = "labels.csv"
IN_SAMPLE = "train"  # the split whose labels the model has learned: it finds fewer errors there


@dataclass(frozen=True)
class Doubt:
    """Image `id` of `split`, labelled `given`, which surely is a `suggested`; `rank` 1 is the likeliest error.

    The confidences are the model's probabilities of the two classes. Images of the train split are ranked for themselves.
    """

    rank: int
    split: str
    id: str
    source: str
    given: str
    suggested: str
    confidence_given: float
    confidence_suggested: float


def audit(
    data: Prepared,
    parts: Mapping[str, Split],
    outputs: Mapping[str, NDArray[np.float32]],
    folder: Path,
    *,
    card: Mapping[str, Any],
) -> dict[str, float]:
    """Write labels.csv, the suspected label errors by logits [N, K] for `parts` of `data`, into `folder`; their `summary`.

    `card` is that of the bundle that gave the logits.
    """
    judged = {
        name: predictions.calibrated(
            predictions.of(outputs[name], ids=part.ids, targets=part.targets), float(card.get("temperature", 1.0))
        )
        for name, part in parts.items()
    }
    found = doubts(data, judged)
    csv_table.write_rows(folder / LABELS, found, Doubt)
    return summary(judged, found)


def doubts(data: Prepared, judged: Mapping[str, Predictions]) -> list[Doubt]:
    """The suspected label errors by what a model says of each split, first those of images that it never trained on; none by a model that
    cannot judge."""
    if not able(judged):
        return []
    pools = ([name for name in judged if name != IN_SAMPLE], [name for name in judged if name == IN_SAMPLE])
    return [doubt for pool in pools if pool for doubt in _ranked(data, {name: judged[name] for name in pool})]


def able(judged: Mapping[str, Predictions]) -> bool:
    """Whether a model may doubt labels: on images that it never trained on it errs at most half as often as the most frequent class would.

    Of one that errs more often the doubts are its own errors.
    """
    right, floor, images = _right(judged)
    return wilson(round(right * images), images)[1] >= floor


def _right(judged: Mapping[str, Predictions]) -> tuple[float, float, int]:
    """The share of images that it gets right of those it never trained on, the least share to be able to judge, and how many they are."""
    unseen = [each for split, each in judged.items() if split != IN_SAMPLE]
    given, predicted = (np.concatenate([getattr(each, name) for each in unseen]) for name in ("labels", "predicted"))
    return float((given == predicted).mean()), float(1 + np.bincount(given).max() / len(given)) / 2, len(given)


def summary(judged: Mapping[str, Predictions], doubts: Sequence[Doubt]) -> dict[str, float]:
    """In numbers, of the splits that the model never trained on: whether it is `able` to judge, which it is if the share that it gets
    right is not below right_at_least; suspects among images, and noise, the estimated share of wrong labels (what the model itself gets
    surely wrong counts as well), left out by a model that is not."""
    unseen = [each for split, each in judged.items() if split != IN_SAMPLE]
    probabilities, given = (
        np.concatenate(each) for each in zip(*((p.probabilities, p.labels) for p in unseen), strict=True)
    )
    share, floor, _ = _right(judged)
    may_judge = able(judged)
    return {
        "able": float(may_judge),
        "right": round(share, 6),
        "right_at_least": round(floor, 6),
        "suspects": sum(doubt.split != IN_SAMPLE for doubt in doubts),
        "images": len(given),
        **({"noise": round(label_errors.noise(probabilities, given), 6)} if may_judge else {}),
    }


def sentence(found: Mapping[str, float]) -> str:
    """What `summary` found, in words."""
    if found["able"]:
        return f"doubts {found['suspects']:,} of {found['images']:,} labels"
    return f"cannot judge labels: it gets {found['right']:.1%} of the images right (at least {found['right_at_least']:.1%})"


def _ranked(data: Prepared, judged: Mapping[str, Predictions]) -> list[Doubt]:
    """The suspects of all these splits in one ranking."""
    parts = {name: data.split(name) for name in judged}
    sources = {name: data.samples(name, columns=["source"]).column("source").to_pylist() for name in parts}
    places = [(name, row) for name, part in parts.items() for row in range(len(part.targets))]
    scores = np.concatenate([each.probabilities for each in judged.values()])
    found = label_errors.suspects(scores, np.concatenate([each.labels for each in judged.values()]))
    doubts = []
    for rank, suspect in enumerate(found, start=1):
        name, row = places[suspect.row]
        given, suggested = (round(float(scores[suspect.row, each]), 6) for each in (suspect.label, suspect.suggested))
        known = (str(parts[name].ids[row]), str(sources[name][row]), data.classes[suspect.label])
        doubts.append(Doubt(rank, name, *known, data.classes[suspect.suggested], given, suggested))
    return doubts
