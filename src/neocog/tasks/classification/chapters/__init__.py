"""Chapters of the report that only classification has: calibration and groups, label audit, errors."""

from neocog.report.chapters import Chapter, Findings


def of(findings: Findings) -> list[Chapter]:
    """The chapters, each with the one that it follows."""
    from neocog.tasks.classification.chapters import errors
    from neocog.tasks.classification.chapters.audit import chapter as audit
    from neocog.tasks.classification.chapters.trust import chapter as trust

    models, prepared, called = findings.models, findings.prepared, findings.called
    trusted = trust.draw(models, called=called)
    looked = audit.draw(prepared, reports=findings.reports, called=called)
    return [
        trust.chapter(trusted, data=prepared.digest),
        audit.chapter(looked, made=findings.made["audit"]),
        errors.chapter(findings),
    ]
