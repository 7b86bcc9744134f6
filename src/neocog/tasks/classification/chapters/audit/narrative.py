"""What the audit means in sentences: how many labels are in doubt, how many test images were seen before."""

from collections import Counter

from neocog.drawing import numbers
from neocog.tasks.classification.chapters.audit.read import AuditFindings


def labels(found: AuditFindings) -> str:
    """How many labels the model doubts, and which two classes they mix up most."""
    of = f"{found.numbers['images']:,.0f} labels of validation and test images"
    if not found.numbers.get("able", 1):
        right, least = (numbers.percent(found.numbers[name]) for name in ("right", "right_at_least"))
        return f"{found.model} cannot judge labels: it gets {right} of these images right, where {least} would be enough to doubt a label."
    if not found.doubts:
        return f"{found.model} doubts none of the {of}."
    share = numbers.percent(len(found.doubts) / found.numbers["images"])
    mixed = Counter((doubt.given, doubt.suggested) for doubt in found.doubts).most_common(1)[0]
    (given, suggested), times = mixed
    most = f" Most often, {times:,} times, what is labelled {given} looks like {suggested}." if times > 1 else ""
    return f"{found.model} doubts {len(found.doubts):,} of the {of} ({share}).{most}"


def known(found: AuditFindings) -> str:
    """What it doubts of the labels that it was trained on; empty if it was not asked."""
    if not found.known:
        return ""
    return (
        f"Of the images that it was trained on it doubts {len(found.known):,} labels, ranked for themselves in "
        "reports/audit/labels.csv: fewer than are wrong, since it has learned these labels."
    )


def twins(found: AuditFindings) -> str:
    """How many test images have a twin in train, and what that does to the score."""
    tested, seen = found.numbers["test_images"], found.numbers["test_twins"]
    if not found.twins:
        return "No image has a twin in another split."
    told = f"{seen:,.0f} of {tested:,.0f} test images {'has' if seen == 1 else 'have'} a twin among the training images"
    without = found.numbers.get("top1_without_twins")
    if seen and without is not None:
        now, then = (numbers.percent(each, digits=2) for each in (found.numbers["top1"], without))
        told += f"; without them top-1 of {found.model} " + (
            f"stays at {now}" if now == then else f"is {then}, not {now}"
        )
    other = found.numbers.get("twins_labelled_otherwise", 0)
    pairs = f"{len(found.twins):,} {'pair stands' if len(found.twins) == 1 else 'pairs stand'} across two splits"
    labelled = "all labelled alike" if not other else f"{other:,.0f} of them labelled as different classes"
    return f"{told}. {pairs}, {labelled}."


def near(found: AuditFindings) -> str:
    """What counts as a twin."""
    return (
        f"The nearest image of another split, if their pixels differ by at most {found.within:g} of 255 gray levels (root mean square). "
        "The number is how far they are apart."
    )
