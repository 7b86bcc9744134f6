"""Chapter of the report that only detection has."""

from neocog.report.chapters import Chapter, Findings


def of(findings: Findings) -> list[Chapter]:
    """The chapter, with the one that it follows."""
    from neocog.tasks.detection.chapters import boxes

    return [boxes.chapter(findings)]
