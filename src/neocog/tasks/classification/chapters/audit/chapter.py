"""The page's chapter about the data: the labels that look wrong as pictures, and the twins across splits side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.drawing import images as pictures
from neocog.drawing import numbers
from neocog.drawing.images import Pixels
from neocog.drawing.svg import tag
from neocog.evaluation.audit import Twins
from neocog.tasks.classification.audit import Doubt
from neocog.tasks.classification.chapters.audit import narrative
from neocog.tasks.classification.chapters.audit.read import AuditFindings, read

INTRODUCTION = (
    "Well-known test sets have 3 % of their labels wrong (Northcutt et al. 2021), and some share images with what was trained on (Barz & "
    "Denzler 2020). Confident learning doubts a label where a model is at least as sure of another class as it is, on average, of the "
    "images that bear that other label. It was asked about images that it was not trained on. These are candidates for a second look, not "
    "verdicts: the model errs too, and nothing was dropped."
)
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


def style() -> str:
    """The chapter's own CSS."""
    return Path(__file__).with_name("audit.css").read_text(encoding="utf-8")


def chapter(drawn: AuditFigures | None, *, made: str = "") -> str:
    """The chapter as markup, with the id `audit`; empty if nothing was drawn. `made` is how its figures were made."""
    if drawn is None:
        return ""
    found = drawn.found
    parts = [
        tag("h2", "Label audit"),
        tag("p", escape(INTRODUCTION)),
        tag("p", escape(narrative.labels(found)), class_="verdict"),
    ]
    if drawn.doubts:
        first = "The likeliest errors first; all are in reports/audit/labels.csv."
        parts += [tag("p", escape(first), class_="note"), tag("ul", *map(_doubt, drawn.doubts), class_="doubts")]
    if told := narrative.known(found):
        parts.append(tag("p", escape(told), class_="note"))
    parts += [tag("h3", "Near duplicates across splits"), tag("p", escape(narrative.twins(found)), class_="verdict")]
    if drawn.twins:
        near = f"{narrative.near(found)} The nearest first; all are in reports/audit/duplicates.csv."
        parts += [tag("p", escape(near), class_="note"), tag("ul", *map(_pair, drawn.twins), class_="twins")]
    return tag("section", *parts, made, id="audit")


def _doubt(shown: tuple[Doubt, str]) -> str:
    doubt, picture = shown
    alt = f"number {doubt.rank}: labelled {doubt.given}, looks like {doubt.suggested}"
    return tag(
        "li",
        tag("img", src=picture, alt=alt, title=f"{doubt.split} {doubt.source}"),
        tag("b", escape(doubt.suggested)) + f"? {numbers.percent(doubt.confidence_suggested)}",
        tag("span", escape(f"labelled {doubt.given} {numbers.percent(doubt.confidence_given)}")),
    )


def _pair(shown: tuple[Twins, str, str]) -> str:
    pair, *both = shown
    places = [(pair.split, pair.source, pair.label), (pair.other_split, pair.other_source, pair.other_label)]
    faces = [
        tag("img", src=picture, alt=f"{split}: {label}", title=f"{split} {source}")
        for picture, (split, source, label) in zip(both, places, strict=True)
    ]
    alike = pair.label == pair.other_label
    labels = pair.label if alike else f"{pair.label} / {pair.other_label}"
    return tag(
        "li",
        tag("div", *faces),
        tag("b", escape(labels), **({} if alike else {"class_": "differ"})) + f" {pair.distance:.1f}",
        tag("span", escape(f"{pair.split} / {pair.other_split}")),
    )


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
