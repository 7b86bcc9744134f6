"""Chapter of the report that only multi-label classification has."""

from neocog.report.chapters import Chapter, Findings


def of(findings: Findings) -> list[Chapter]:
    """The chapter, with the one that it follows."""
    from neocog.tasks.multilabel.chapters import labels

    return [labels.chapter(findings)]
