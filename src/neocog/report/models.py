"""Judged model: a bundle with its leaderboard row, training history and predictions, gathered from what the stages wrote."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.bundle.read import STAGES, Bundle
from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.evaluation import predictions
from neocog.report import ideas, leaderboard
from neocog.report.ideas import Idea
from neocog.report.leaderboard import LeaderboardRow
from neocog.statistics import Bools, Floats, paired
from neocog.statistics.paired import Paired
from neocog.tasks import task as tasks
from neocog.tasks.task import Task

RESAMPLES = 1000  # of the test images, where a score is no mean over images


@dataclass(frozen=True)
class JudgedModel:
    """A model with its evidence.

    `history` maps a column of history.csv to its values, one an epoch; it is empty if nothing was trained. `predictions` are the task's
    own; `folder` is where the stages wrote about it: reports/<model>.
    """

    bundle: Bundle
    row: LeaderboardRow
    history: dict[str, list[float]]
    predictions: Any
    folder: Path

    @property
    def makers(self) -> tuple[str, str]:
        """The commands that make and judge it."""
        return makers(self.bundle)

    @property
    def idea(self) -> Idea:
        """What the architecture brought, and its paper."""
        return ideas.of(self.bundle.architecture, name=self.bundle.name, published=leaderboard.published(self.bundle))

    @property
    def task(self) -> Task:
        return tasks.task(self.bundle.task)

    @cached_property
    def scores(self) -> Bools | Floats:
        """How good its answer to each image [N] is: right or wrong, or 0 to 1."""
        found: Bools | Floats = self.task.metrics.scores(self.predictions.outputs, self.predictions.targets)
        return found

    @cached_property
    def resampled(self) -> Floats:
        """The primary metric on resamples of the test images [RESAMPLES], the same for each model."""
        score, n = (
            self.task.metrics.scorer(self.predictions.outputs, self.predictions.targets),
            len(self.predictions.ids),
        )
        draw = np.random.default_rng(0)
        again = (np.bincount(draw.integers(n, size=n), minlength=n) for _ in range(RESAMPLES))
        return np.array([score(weights) for weights in again])

    def against(self, other: "JudgedModel") -> Paired:
        """The difference of the primary metric to another model on the same test images."""
        if self.scores.dtype == bool:
            return paired.compare(np.asarray(self.scores, bool), np.asarray(other.scores, bool))
        return paired.from_resamples(self.row.score - other.row.score, self.resampled - other.resampled)

    def label_and_confidence(self, row: int) -> tuple[str, float]:
        """Its answer to an image of the test split in words, and how sure it was, calibrated."""
        answer = self.task.respond.calibrated(self.predictions.outputs[row : row + 1], card=self.bundle.card)[0]
        words, sure = self.task.respond.label_and_confidence(answer, card=self.bundle.card)
        return words, sure


def makers(bundle: Bundle) -> tuple[str, str]:
    """The commands that make and judge a bundle."""
    judge = "evaluate" if bundle.kind == "trained" else f"evaluate_{bundle.kind}"
    return f"dvc repro {STAGES[bundle.kind]}@{bundle.name}", f"dvc repro {judge}@{bundle.name}"


def classes_shown(prepared: Prepared, targets: Any) -> list[tuple[int, ...]]:
    """The classes of each image, by the targets of N images."""
    found: list[tuple[int, ...]] = tasks.task(prepared.task).targets.present_classes(targets)
    return found


def class_names(prepared: Prepared, targets: Any) -> list[str]:
    """The classes of each image by name: `Coat`, or `3, 8`, or `no class`."""
    return [", ".join(prepared.classes[each] for each in one) or "no class" for one in classes_shown(prepared, targets)]


def classes_phrase(prepared: Prepared, targets: Any) -> str:
    """What one image shows, by its `targets` [1, ...], after `a test image of`: `the class Coat`, `the classes 3, 8`, `no class`."""
    (shown,), (names,) = classes_shown(prepared, targets), class_names(prepared, targets)
    return f"the {'class' if len(shown) == 1 else 'classes'} {names}" if shown else names


def gather(bundles: Sequence[Bundle], prepared: Prepared, *, reports: Path) -> list[JudgedModel]:
    """Every model with its row, best first.

    Raises UserError, naming the stage to run, when a file is missing or is about other data.
    """
    if not bundles:
        raise UserError("params.yaml: architectures names no model to report on")
    benchmark = _benchmark(reports / "benchmark.csv")
    ids = prepared.split("test").ids
    models = [
        _gather(bundle, prepared, ids=ids, folder=reports / bundle.model, benchmark=benchmark) for bundle in bundles
    ]
    order = leaderboard.ranked([model.row for model in models])
    return sorted(models, key=lambda model: order.index(model.row))


def _gather(
    bundle: Bundle, prepared: Prepared, *, ids: NDArray[Any], folder: Path, benchmark: dict[str, dict[str, str]]
) -> JudgedModel:
    make, judge = makers(bundle)
    predictions.match(bundle, prepared)
    if bundle.model not in benchmark:
        raise UserError(
            f"{folder.parents[1] / 'benchmark.csv'} has no row for {bundle.model}; `dvc repro benchmark` makes it"
        )
    trained = bundle.kind == "trained"  # others may come without a training of their own
    training = _json(folder / "training.json", make) if trained or (folder / "training.json").is_file() else {}
    history = _history(folder / "history.csv", make) if trained or (folder / "history.csv").is_file() else {}
    metrics = _json(folder / "metrics.json", judge)
    try:
        row = leaderboard.row(bundle, metrics=metrics, benchmark=benchmark[bundle.model], training=training)
    except KeyError as missing:
        raise UserError(f"{folder}: {missing} is missing among the results; `{make}` and `{judge}` make them") from None
    judged = tasks.task(bundle.task).predictions.read(_there(folder / "predictions.parquet", judge))
    if not np.array_equal(judged.ids, ids):
        raise UserError(
            f"{folder / 'predictions.parquet'} is about other images than {prepared.folder}; `{judge}` judges these"
        )
    return JudgedModel(bundle, row, history, judged, folder)


def _there(path: Path, make: str) -> Path:
    if not path.is_file():
        raise UserError(f"{path} is missing; `{make}` makes it")
    return path


def _json(path: Path, make: str) -> dict[str, Any]:
    try:
        return json.loads(_there(path, make).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is damaged ({error}); `{make} --force` makes it again") from None


def _history(path: Path, make: str) -> dict[str, list[float]]:
    lines = list(csv_table.read(_there(path, make)))
    return {name: [float(line[name] or nan) for line in lines] for name in (lines[0] if lines else {})}


def _benchmark(path: Path) -> dict[str, dict[str, str]]:
    return {line["model"]: line for line in csv_table.read(_there(path, "dvc repro benchmark"))}
