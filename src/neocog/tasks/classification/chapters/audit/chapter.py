"""Chapter "Label audit": suspected label errors as pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neocog.data.prepared import Prepared
from neocog.report.chapters import Chapter
from neocog.report.duplicates.chapter import shrunk
from neocog.report.templates import render
from neocog.tasks.classification.audit import Doubt
from neocog.tasks.classification.chapters.audit import narrative
from neocog.tasks.classification.chapters.audit.read import AuditFindings, read

BUDGET = 300_000  # bytes of pictures


@dataclass(frozen=True)
class AuditFigures:
    """What was found; the first suspected errors, each with its picture."""

    found: AuditFindings
    doubts: tuple[tuple[Doubt, str], ...]


def draw(prepared: Prepared, *, reports: Path, called: Mapping[str, str]) -> AuditFigures | None:
    """The chapter's pictures, of the model as it is `called`; None if there is no audit in `reports`."""
    found = read(reports, called=called)
    if found is None:
        return None
    doubts = found.doubts[: found.images]
    shown = shrunk(prepared, [(doubt.split, doubt.id) for doubt in doubts], budget=BUDGET)
    return AuditFigures(found, tuple((doubt, shown[doubt.split, doubt.id]) for doubt in doubts))


def chapter(drawn: AuditFigures | None, *, made: str = "") -> Chapter:
    """The chapter `audit`, empty if nothing was drawn. `made` is how its figures were made."""
    if drawn is None:
        return Chapter("audit", "Label audit", "")
    folder = Path(__file__).parent
    markup = render(
        folder / "audit.html",
        found=drawn.found,
        doubts=drawn.doubts,
        narrative=narrative,
        made=made,
    )
    style = (folder / "audit.css").read_text(encoding="utf-8")
    return Chapter("audit", "Label audit", markup, style=style, after="explained")
