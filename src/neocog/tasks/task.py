"""The protocol of a task: which file of its folder says what. Only `tasks/<task>/` looks inside targets, outputs and predictions.

| file | what the other rooms call |
|---|---|
| `targets.py` (no torch) | targets [N, ...] as `COLUMNS` of samples.parquet: `columns(targets)`, `of(table, classes=)`; by `SOURCES` |
| | their classes: `counts(targets, classes=)`, `present_classes(targets)`, `strata(targets, classes=)`, `without(targets, dropped)`; |
| | two for equal pixels: `CONTRADICTION` |
| `sources/<name>.py` | a source that only this task has: `read(root, scratch=, size=, ...)`, as `data/sources/folder.py`; |
| | the last of `SOURCES`, if targets have places in the image, also `images(root, paths)`: for `neocog init` |
| `objective.py` | `loss(outputs, targets)`, whose further parameters are the settings that this task has; |
| | for mixed images `soften(targets, classes=)`; to time it `random(images, classes=, size=)`; watched: `sums(outputs, targets)`, `means` |
| `transforms.py` | only where targets have places in the image: `move(images, targets, flip=, crop=)` |
| `architectures/` | only where networks for whole images do not do: its own, one file each, as in `neocog/architectures` |
| `decode.py` | `OUTPUTS`: the names of what the graph gives out; `Decode()(outputs)`: the module behind the network, inside the graph |
| `metrics.py` | `PRIMARY`, `METRICS`, `scores(outputs, targets)` [N], `primary(outputs, targets, weights=)`, |
| | `scorer(outputs, targets)`: the same as a function of the weights, |
| | `agreement(expected, answered, slack=)` [N], `numbers(outputs, targets, bins=)`: what seeds.csv has of each seed |
| | where outputs have no fixed order `difference(expected, answered)`: the largest of an output |
| | `calibrate(outputs, targets)`: entries of bundle.json fitted on the val split |
| `evaluate.py` | `evaluate(outputs, judged, context, folder)`: {name: score}, and its tables in folders of `folder`: `TABLES` for people; |
| | for `dvc plots` `CURVES` (columns x and y, `<y>_by_<x>.csv`) and `COUNTS` (actual, predicted, images); `sentence(scores)` |
| `respond.py` | `CALIBRATION`, `rule(card)`: by what outputs become predictions; |
| | `calibrated(outputs, card=)`, `answers(predictions, card=)`, `said(prediction, card=)`, `text`, ...: what is answered |
| `predictions.py` | `of(outputs, ids=, targets=, card=)`; `read(path)`, `write(path, predictions)`: predictions.parquet, which has |
| | `ids`, `outputs` and `targets` of N images |
| `examples.py` | `choose(predictions, images=)`, `correct(outputs, targets)`, `caption(target, classes=)`; |
| | `answered(predictions, rows)`, where a map of pixels can explain an output |
| `audit.py` | only where targets can be doubted: `audit(data, parts, outputs, folder, card=)` writes labels.csv; `sentence(numbers)` |
| `chapters/` | `of(findings)`: its own chapters of the report; a task may have none |

`outputs` is an array [N, ...] that the network gives for N images, `targets` the array [N, ...] that `targets.py` reads for them, of which
`targets[i]` are the targets of image i.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from neocog.core.errors import UserError, nearest

TABLES, CURVES, COUNTS = "tables", "curves", "counts"  # folders of reports/<kind>/<name>, as in dvc.yaml


@dataclass(frozen=True)
class Metric:
    """A measure by its `name` in metrics.json, MLflow and the leaderboard, its `heading` for people, and which way is better.

    `better`: 1 if more is better, -1 if less. `fraction`: from 0 to 1, shown in percent. It says nothing where there are only so many
    `classes`. `claim`: what is said of a model with such a value. The primary metric is a fraction, and more of it is better.
    """

    name: str
    heading: str
    about: str
    better: int = 1
    fraction: bool = True
    classes: int = 0
    claim: str = ""

    def text(self, value: float) -> str:
        """`93.1 %` of a fraction, else four digits."""
        return f"{100 * value:.1f} %" if self.fraction else f"{value:.4g}"

    @property
    def title(self) -> str:
        """The heading at the beginning of a sentence; `mAP` stays as it is."""
        return self.heading if self.heading[1:2].isupper() else self.heading[:1].upper() + self.heading[1:]

    @property
    def goal(self) -> str:
        """The name of a limit of it: `min_top1`."""
        return f"{'min' if self.better > 0 else 'max'}_{self.name}"

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` is better than another."""
        return self.better * (value - than) > 0


@dataclass(frozen=True)
class ExplainedOutput:
    """What an explanation is about: an output by its `index`, its name for people, and its probability."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True)
class EvaluationContext:
    """What `evaluate` needs to know beside the predictions.

    The names of the `classes`, the bundle's bundle.json as `card`, the group columns of the images by name, and the section `evaluate` of
    params: `bins` of the reliability diagram, `bootstrap` resamples, their `seed`.
    """

    classes: Sequence[str]
    card: Mapping[str, Any]
    columns: Mapping[str, Sequence[str | None]]
    bins: int
    bootstrap: int
    seed: int


@dataclass(frozen=True)
class Task:
    """A task by the name of its folder; each file is imported when it is first asked for (some need torch)."""

    name: str

    @cached_property
    def targets(self) -> ModuleType:
        return self._file("targets")

    @cached_property
    def objective(self) -> ModuleType:
        return self._file("objective")

    @cached_property
    def decode(self) -> ModuleType:
        return self._file("decode")

    @property
    def has_places(self) -> bool:
        """Whether targets and outputs have places in the image."""
        return (Path(__file__).parent / self.name / "transforms.py").is_file()

    @cached_property
    def move(self) -> Callable[..., Any] | None:
        """What moves images and targets together; None where targets have no place in the image."""
        return self._file("transforms").move if self.has_places else None

    @cached_property
    def metrics(self) -> ModuleType:
        return self._file("metrics")

    @cached_property
    def evaluate(self) -> ModuleType:
        return self._file("evaluate")

    @cached_property
    def respond(self) -> ModuleType:
        return self._file("respond")

    @cached_property
    def predictions(self) -> ModuleType:
        return self._file("predictions")

    @cached_property
    def examples(self) -> ModuleType:
        return self._file("examples")

    @cached_property
    def chapters(self) -> ModuleType | None:
        return self._file("chapters") if (Path(__file__).parent / self.name / "chapters").is_dir() else None

    @property
    def primary(self) -> Metric:
        """The metric that models are ranked by."""
        metric: Metric = self.metrics.PRIMARY
        return metric

    def source(self, name: str) -> ModuleType | None:
        """The task's own file of a source; None for one of data/sources."""
        there = (Path(__file__).parent / self.name / "sources" / f"{name}.py").is_file()
        return self._file(f"sources.{name}") if there else None

    @cached_property
    def audit(self) -> ModuleType | None:
        return self._file("audit") if (Path(__file__).parent / self.name / "audit.py").is_file() else None

    def _file(self, name: str) -> ModuleType:
        return import_module(f"neocog.tasks.{self.name}.{name}")


def names() -> list[str]:
    """The tasks that there are."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/__init__.py"))


def task(name: str) -> Task:
    """The task of that name. Raises UserError for another."""
    if name not in names():
        raise UserError(f"task (={name!r}) is unknown; {nearest(name, names())}")
    return Task(name)
