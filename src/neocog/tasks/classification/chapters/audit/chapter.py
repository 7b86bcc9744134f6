"""Chapter "Label audit": the labels that look wrong as pictures, and the twins across splits side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.drawing import images as pictures
from neocog.drawing.images import Pixels
from neocog.evaluation.audit import Twins
from neocog.report.chapters import Chapter
from neocog.report.templates import render
from neocog.tasks.classification.audit import Doubt
from neocog.tasks.classification.chapters.audit import narrative
from neocog.tasks.classification.chapters.audit.read import AuditFindings, read

BUDGET = 300_000  # bytes of pictures


@dataclass(frozen=True)
class AuditFigures:
    """What was found; the first suspected errors, each with its picture; the nearest twins, each with both pictures."""

    found: AuditFindings
    doubts: tuple[tuple[Doubt, str], ...]
    twins: tuple[tuple[Twins, str, str], ...]


def draw(prepared: Prepared, *, reports: Path, called: Mapping[str, str]) -> AuditFigures | None:
    """The chapter's pictures, of the model as it is `called`; None if there is no audit in `reports`."""
    found = read(reports, called=called)
    if found is None:
        return None
    doubts, twins = found.doubts[: found.images], found.twins[: found.duplicates]
    wanted = [(doubt.split, doubt.id) for doubt in doubts]
    wanted += [place for pair in twins for place in ((pair.split, pair.id), (pair.other_split, pair.other_id))]
    images = _images(prepared, wanted)
    side = pictures.largest_side(list(images.values()), budget=BUDGET)
    shown = {place: pictures.png(pictures.shrunk(image, side=side)) for place, image in images.items()}
    return AuditFigures(
        found,
        tuple((doubt, shown[doubt.split, doubt.id]) for doubt in doubts),
        tuple((pair, shown[pair.split, pair.id], shown[pair.other_split, pair.other_id]) for pair in twins),
    )


def chapter(drawn: AuditFigures | None, *, made: str = "") -> Chapter:
    """The chapter `audit`, empty if nothing was drawn. `made` is how its figures were made."""
    if drawn is None:
        return Chapter("audit", "Label audit", "")
    folder = Path(__file__).parent
    markup = render(
        folder / "audit.html",
        found=drawn.found,
        doubts=drawn.doubts,
        twins=drawn.twins,
        narrative=narrative,
        made=made,
    )
    style = (folder / "audit.css").read_text(encoding="utf-8")
    return Chapter("audit", "Label audit", markup, style=style, after="explained")


def _images(prepared: Prepared, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], Pixels]:
    """The images at (split, id). Raises UserError where the audit was of other data."""
    found: dict[tuple[str, str], Pixels] = {}
    for split in dict.fromkeys(split for split, _ in wanted):
        part = prepared.split(split)
        rows = {str(name): row for row, name in enumerate(part.ids)}
        names = [name for each, name in wanted if each == split]
        if not rows.keys() >= set(names):
            raise UserError(
                f"reports/audit names images that {prepared.folder} does not hold; `dvc repro audit` makes it again"
            )
        found |= {(split, name): part.images[rows[name]] for name in names}
    return found
