"""The page's chapter about near duplicates: pairs of images across two splits side by side, and what they do to the score."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.drawing import images as pictures
from neocog.drawing import numbers
from neocog.drawing.images import Pixels
from neocog.report.chapters import Chapter
from neocog.report.duplicates.read import AuditRecord, read
from neocog.report.templates import render
from neocog.tasks.task import Metric

BUDGET = 200_000  # bytes of pictures

Place = tuple[str, str]  # the split of an image, and its id


def chapter(prepared: Prepared, metric: Metric, *, reports: Path, called: Mapping[str, str], made: str = "") -> Chapter:
    """The chapter, with the id `duplicates`; without markup if there is no audit in `reports`. `made` is how its figures were made."""
    found = read(reports, called=called)
    if found is None:
        return Chapter("duplicates", "Near duplicates", "")
    shown = [
        (pair, (pair.split, pair.id), (pair.other_split, pair.other_id)) for pair in found.twins[: found.duplicates]
    ]
    by_place = shrunk(prepared, [place for _, *both in shown for place in both], budget=BUDGET)
    folder = Path(__file__).parent
    markup = render(
        folder / "duplicates.html",
        found=found,
        verdict=verdict(found, metric),
        pairs=[(pair, by_place[ours], by_place[theirs]) for pair, ours, theirs in shown],
        made=made,
    )
    style = (folder / "duplicates.css").read_text(encoding="utf-8")
    return Chapter("duplicates", "Near duplicates", markup, style=style)


def verdict(found: AuditRecord, metric: Metric) -> str:
    """How many test images have a twin in train, and what that does to the score."""
    tested, seen = found.numbers["test_images"], found.numbers["test_twins"]
    if not found.twins:
        return "No image has a twin in another split."
    sentence = (
        f"{seen:,.0f} of {tested:,.0f} test images {'has' if seen == 1 else 'have'} a twin among the training images"
    )
    score, without = (found.numbers.get(f"{metric.name}{end}") for end in ("", "_without_twins"))
    if seen and score is not None and without is not None:
        now, then = (numbers.percent(each, digits=2) for each in (score, without))
        sentence += f"; without them {metric.heading} of {found.model} " + (
            f"stays at {now}" if now == then else f"is {then}, not {now}"
        )
    other = found.numbers.get("twins_labelled_otherwise", 0)
    pairs = f"{len(found.twins):,} {'pair stands' if len(found.twins) == 1 else 'pairs stand'} across two splits"
    labelled = "all labelled alike" if not other else f"{other:,.0f} of them labelled differently"
    return f"{sentence}. {pairs}, {labelled}."


def shrunk(prepared: Prepared, places: Sequence[Place], *, budget: int) -> dict[Place, str]:
    """The images at `places` as pictures of one size, of `budget` bytes in all. Raises UserError where the audit was of other data."""
    found: dict[Place, Pixels] = {}
    for split in dict.fromkeys(split for split, _ in places):
        part = prepared.split(split)
        rows = {str(name): row for row, name in enumerate(part.ids)}
        names = [name for each, name in places if each == split]
        if not rows.keys() >= set(names):
            raise UserError(
                f"reports/audit names images that {prepared.folder} does not hold; `dvc repro audit` makes it again"
            )
        found |= {(split, name): part.images[rows[name]] for name in names}
    side = pictures.largest_side(list(found.values()), budget=budget)
    return {place: pictures.picture(pictures.shrunk(image, side=side)) for place, image in found.items()}
