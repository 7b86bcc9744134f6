"""Read what the stage `evaluate` wrote about calibration, groups of images and seeds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.report.models import JudgedModel, makers
from neocog.statistics import Floats, Ints, slices
from neocog.statistics.slices import Gap, Slice
from neocog.tasks.classification import calibration, selective
from neocog.tasks.classification.calibration import Bin
from neocog.tasks.classification.chapters.judged import JudgedClassifier
from neocog.tasks.classification.selective import RiskCoverageCurve

CLASS = "class"  # the column of groups that every data set has
COLUMNS = ("column", "value", "images", "top1", "low", "high")


@dataclass(frozen=True)
class Seeds:
    """Top-1 of the same architecture trained with several seeds, as fractions."""

    top1: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.top1)

    @property
    def spread(self) -> float:
        """The sample's standard deviation."""
        return stdev(self.top1)


@dataclass(frozen=True)
class Trust:
    """`bins` of the reliability diagram as shipped and `honest` ones with logits divided by the `temperature`; `groups` by column.

    `confused`: of each column that came with the images its worst group, and that group's confusion matrix [K, K].
    """

    model: JudgedModel
    scores: Mapping[str, float]
    bins: tuple[Bin, ...]
    honest: tuple[Bin, ...]
    answers: RiskCoverageCurve
    groups: Mapping[str, tuple[Slice, ...]]
    confused: Mapping[str, tuple[Slice, Ints]]
    seeds: Seeds | None

    def score(self, name: str) -> float | None:
        """A headline of metrics.json, which older files may lack."""
        return self.scores.get(f"test/{name}")

    @property
    def extremes(self) -> tuple[Slice, Slice] | None:
        """The worst and the best group of the column with the widest gap."""
        found = [slices.extremes(list(groups), column) for column, groups in self.groups.items()]
        return max((pair for pair in found if pair), key=lambda pair: pair[1].score - pair[0].score, default=None)

    def gap(self, name: str) -> Gap | None:
        """A gap of metrics.json with its interval; only a model with groups has one."""
        value, low, high = (self.score(name + end) for end in ("", "_low", "_high"))
        return None if value is None or low is None or high is None else (value, low, high)


def read(model: JudgedModel) -> Trust:
    """What is known about one model. Raises UserError for damaged files."""
    _, judge = makers(model.bundle)
    path = model.folder / "metrics.json"
    scores = json.loads(path.read_text(encoding="utf-8"))
    judged = JudgedClassifier(model)
    correct = ~judged.wrong
    confidence = judged.predictions.confidence.astype(float)
    bins = _bins(model.folder / "tables" / "reliability.csv", judge)
    temperature = scores.get("test/temperature")
    groups = _groups(model, judge)
    return Trust(
        model,
        scores,
        bins,
        _honest(judged, temperature, bins=round(1 / (bins[0].high - bins[0].low))) if bins and temperature else (),
        selective.curve(confidence, correct),
        groups,
        _confused(model, groups, judge),
        _seeds(model.folder / "tables" / "seeds.csv", judge),
    )


def _honest(judged: JudgedClassifier, temperature: float, *, bins: int) -> tuple[Bin, ...]:
    """Dividing logits by a temperature raises the probabilities to its inverse."""
    raised = judged.predictions.probabilities.astype(np.float64) ** (1 / temperature)
    confidence: Floats = raised.max(axis=1) / raised.sum(axis=1)
    return tuple(calibration.reliability(confidence, ~judged.wrong, bins=bins))


def _bins(path: Path, judge: str) -> tuple[Bin, ...]:
    return tuple(
        Bin(float(r["low"]), float(r["high"]), int(r["images"]), float(r["confidence"]), float(r["accuracy"]))
        for r in _rows(path, ("low", "high", "images", "confidence", "accuracy"), judge)
    )


def _groups(model: JudgedModel, judge: str) -> dict[str, tuple[Slice, ...]]:
    """The groups that came with the images by column, and the classes."""
    rows = _rows(model.folder / "tables" / "groups.csv", COLUMNS, judge)
    groups = [
        Slice(r["column"], r["value"], int(r["images"]), float(r["top1"]), float(r["low"]), float(r["high"]))
        for r in rows
    ]
    if CLASS not in {each.column for each in groups}:
        judged = JudgedClassifier(model)
        names = [model.bundle.classes[label] for label in judged.predictions.labels]
        groups += slices.slices(~judged.wrong, {CLASS: names})
    columns = dict.fromkeys(each.column for each in groups)
    return {column: tuple(each for each in groups if each.column == column) for column in columns}


def _confused(model: JudgedModel, groups: Mapping[str, tuple[Slice, ...]], judge: str) -> dict[str, tuple[Slice, Ints]]:
    rows = _rows(model.folder / "tables" / "group_confusion.csv", ("images",), judge)
    places = {name: place for place, name in enumerate(model.bundle.classes)}
    found = {}
    for column in dict.fromkeys(row["column"] for row in rows):
        if pair := slices.extremes(groups.get(column, ()), column):
            matrix = np.zeros((len(places), len(places)), np.int64)
            for row in rows:
                if (row["column"], row["value"]) == (column, pair[0].value):
                    matrix[places[row["actual"]], places[row["predicted"]]] = int(row["images"])
            found[column] = pair[0], matrix
    return found


def _seeds(path: Path, judge: str) -> Seeds | None:
    found = tuple(float(row["top1"]) for row in _rows(path, ("seed", "top1"), judge))
    return Seeds(found) if len(found) > 1 else None


def _rows(path: Path, columns: tuple[str, ...], judge: str) -> list[dict[str, str]]:
    """The lines of a table; none if there is no such file."""
    if not path.is_file():
        return []
    try:
        rows = list(csv_table.read(path))
        for row in rows:
            [float(row[column]) for column in columns if column not in ("column", "value")]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); `{judge} --force` makes it again") from None
    return rows
