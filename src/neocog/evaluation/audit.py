"""Are the data right? Labels that a model surely takes for wrong, and images that two splits share, by name, for a person to look at.

Nothing is dropped: about half of what confident learning flags in well-known test sets is a real error (Northcutt, Athalye & Mueller 2021,
arXiv:2103.14749), the other half is hard images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared, Split
from neocog.evaluation.duplicates import near_duplicates
from neocog.statistics.intervals import wilson
from neocog.tasks.classification import label_errors
from neocog.tasks.classification.predictions import Predictions

IN_SAMPLE = "train"  # the split whose labels the model has learned: it finds fewer errors there
T = TypeVar("T")


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
    given, said = (np.concatenate([getattr(each, name) for each in unseen]) for name in ("labels", "predicted"))
    return float((given == said).mean()), float(1 + np.bincount(given).max() / len(given)) / 2, len(given)


def twins(data: Prepared, *, within: float) -> list[Twins]:
    """For each image the nearest one of every earlier split that is at most `within` gray levels away, the nearest pairs first."""
    parts = {name: data.split(name) for name in data.counts}
    sources = {name: _sources(data, name) for name in parts}
    return [
        Twins(
            pair.split,
            *_known(data, parts[pair.split], sources[pair.split], pair.row),
            pair.other,
            *_known(data, parts[pair.other], sources[pair.other], pair.other_row),
            round(pair.distance, 4),
        )
        for pair in near_duplicates({name: part.images for name, part in parts.items()}, within=within)
    ]


def summary(judged: Mapping[str, Predictions], doubts: Sequence[Doubt], pairs: Sequence[Twins]) -> dict[str, float]:
    """In numbers, of the splits that the model never trained on: whether it is `able` to judge, which it is if the share that it gets
    right is not below right_at_least; suspects among images, and noise, the estimated share of wrong labels (what the model itself gets
    surely wrong counts as well), left out by a model that is not; of all splits: twins; and top1 on the test images with and without those
    that have a twin in train."""
    unseen, test = [each for split, each in judged.items() if split != IN_SAMPLE], judged["test"]
    known = {pair.id for pair in pairs if (pair.split, pair.other_split) == ("test", IN_SAMPLE)}
    fresh = np.array([name not in known for name in test.ids])
    right = test.labels == test.predicted
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
        "twins": len(pairs),
        "twins_labelled_otherwise": sum(pair.label != pair.other_label for pair in pairs),
        "test_images": len(right),
        "test_twins": len(known),
        "top1": round(float(right.mean()), 6),
        **({"top1_without_twins": round(float(right[fresh].mean()), 6)} if fresh.any() else {}),
    }


def write(path: Path, rows: Sequence[Any], kind: type) -> None:
    """A table of `rows`, all of the dataclass `kind`, under the names of its fields."""
    csv_table.write(path, [field.name for field in fields(kind)], map(astuple, rows))


def read(path: Path, kind: type[T]) -> list[T]:
    """What `write` wrote. Raises UserError for a damaged file."""
    types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    try:
        return [kind(**{name: types[name](value) for name, value in row.items()}) for row in csv_table.read(path)]  # type: ignore[operator]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); `dvc repro --force audit` makes it again") from None


def _ranked(data: Prepared, judged: Mapping[str, Predictions]) -> list[Doubt]:
    """The suspects of all these splits in one ranking."""
    parts = {name: data.split(name) for name in judged}
    sources = {name: _sources(data, name) for name in parts}
    places = [(name, row) for name, part in parts.items() for row in range(len(part.targets))]
    scores = np.concatenate([each.probabilities for each in judged.values()])
    found = label_errors.suspects(scores, np.concatenate([each.labels for each in judged.values()]))
    told = []
    for rank, suspect in enumerate(found, start=1):
        name, row = places[suspect.row]
        given, suggested = (round(float(scores[suspect.row, each]), 6) for each in (suspect.label, suspect.suggested))
        known = _known(data, parts[name], sources[name], row)
        told.append(Doubt(rank, name, *known, data.classes[suspect.suggested], given, suggested))
    return told


def _known(data: Prepared, part: Split, sources: Sequence[str], row: int) -> tuple[str, str, str]:
    """Id, source and class of an image."""
    return str(part.ids[row]), sources[row], data.classes[part.targets[row]]


def _sources(data: Prepared, name: str) -> list[str]:
    return list(data.samples(name, columns=["source"]).column("source").to_pylist())
