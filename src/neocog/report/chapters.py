"""Chapter: the result type of every chapter of the page, what a task's chapters are drawn from, and their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neocog.data.prepared import Prepared
from neocog.report.models import JudgedModel


@dataclass(frozen=True)
class Chapter:
    """`markup` is one `<section id=...>` with the same `id`; empty where there is nothing to tell, and then the page leaves it out.

    `title` is what the navigation calls it, `made` how its figures were made (see `provenance.how`) where they do not say so themselves,
    `style` CSS that it brings along, `figures` its drawings by the names of their files, `after` the `id` of the chapter that it follows.
    """

    id: str
    title: str
    markup: str
    made: str = ""
    style: str = ""
    figures: Mapping[str, str] = field(default_factory=dict)
    after: str = ""


@dataclass(frozen=True)
class Findings:
    """What a task draws its chapters from: the `models`, best first, and how each is `called`, judged on the test split of `prepared`.

    `reports` is where the stages wrote, `mistakes` how many pictures of wrong answers are shown of each model, `made` how the figures of
    a chapter were made, by its id.
    """

    models: Sequence[JudgedModel]
    prepared: Prepared
    reports: Path
    called: Mapping[str, str]
    mistakes: int
    made: Mapping[str, str]


def ordered(general: Sequence[Chapter], own: Sequence[Chapter]) -> list[Chapter]:
    """The chapters that any task has, and behind them, each in its place, those of one task; without the empty ones."""
    found = list(general)
    for chapter in own:
        ids = [each.id for each in found]
        found.insert(ids.index(chapter.after) + 1 if chapter.after in ids else len(ids), chapter)
    return [chapter for chapter in found if chapter.markup]
