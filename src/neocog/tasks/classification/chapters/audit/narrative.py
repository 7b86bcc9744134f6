"""Sentences about the audit: how many labels are in doubt."""

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
