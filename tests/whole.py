"""The page of a classifier's report with the chapters that every such page has."""

from collections.abc import Mapping, Sequence

from neocog.data.prepared import Prepared
from neocog.report import activations, drawings, page
from neocog.report.chapters import Chapter, Findings, ordered
from neocog.report.models import JudgedModel
from neocog.tasks.classification.chapters import errors


def html(
    found: Sequence[JudgedModel],
    data: Prepared,
    *,
    called: Mapping[str, str],
    mistakes: int = 6,
    chapters: Sequence[Chapter] = (),
) -> str:
    """The page about the models `found`, with `chapters` before those about activations and errors."""
    findings = Findings(found, data, found[0].folder.parents[1], called, mistakes, {})
    general = [*chapters, activations.chapter(found, data, called=called, made="")]
    drawn = drawings.draw(found, called=called)
    return page.html(found, data, drawn, called=called, chapters=ordered(general, [errors.chapter(findings)]))
