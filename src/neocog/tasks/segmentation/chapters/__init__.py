"""Chapter of the report that only segmentation has."""

from neocog.report.chapters import Chapter, Findings


def of(findings: Findings) -> list[Chapter]:
    """The chapter, with the one that it follows."""
    from neocog.tasks.segmentation.chapters import masks

    return [masks.chapter(findings)]
