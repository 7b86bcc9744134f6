"""Stage `report`: what every stage found, joined into the leaderboard, the figures and one page."""

import shutil
import sys
from pathlib import Path

from neocog import tracking
from neocog.bundle import read
from neocog.core.errors import run
from neocog.core.escape import say
from neocog.data import prepared
from neocog.drawing import svg
from neocog.params import load
from neocog.report import activations, drawings, leaderboard, models, narrative, page, provenance, scores
from neocog.report.chapters import Findings, ordered
from neocog.report.compare import chapter as compare
from neocog.report.compare import pairs
from neocog.report.compression import chapter as compression
from neocog.report.compression import recipe
from neocog.report.duplicates import chapter as duplicates
from neocog.report.explanations import chapter as explained
from neocog.report.robustness import chapter as robustness
from neocog.report.sweeps import chapter as tuning
from neocog.report.sweeps import read as sweep
from neocog.tasks.task import task
from pipelines.stale import remove_stale

REPORTS = Path("reports")


def report() -> None:
    """Write reports/leaderboard.csv and .md, significance.csv, pareto.csv, reports/report.html and reports/figures/*.svg."""
    settings = load.for_stage("report")
    remove_stale(settings.models)
    data = prepared.read("data/prepared")
    judged = task(data.task)
    bundles = [read.read(folder) for folder in settings.models]
    with tracking.start(
        "report",
        experiment=settings.tracking.experiment,
        tags={"data.digest": data.digest},
        config=settings.resolved(),
        resume=tracking.memory("report"),
    ) as log:
        found = models.gather(bundles, data, reports=REPORTS)
        rows = [model.row for model in found]
        called = narrative.names(rows)
        drawn = drawings.draw(found, called=called)
        tuned = [Path("models/tuned") / name for name in settings.tune.architectures]
        sweeps = [tuning.draw(sweep.read(folder, judged.primary)) for folder in tuned]
        compressed = compression.draw(found, recipe.gather(found), called=called)
        duels = compare.draw(found, data, scores.scores(judged, classes=len(data.classes)), called=called)
        corrupted = robustness.draw(data, judged.primary, reports=REPORTS, called=called)
        looks = explained.draw(data, found, reports=REPORTS, called=called)
        how, tried = provenance.chapters(found, data, reports=REPORTS), provenance.sweeps(found, data=data.digest)
        general = [
            tuning.chapter(sweeps, made=tried),
            compression.chapter(compressed, made=how["compression"]),
            compare.chapter(duels, made=how["compare"]),
            robustness.chapter(corrupted, made=how["robustness"]),
            explained.chapter(looks, made=how["explained"]),
            duplicates.chapter(data, judged.primary, reports=REPORTS, called=called, made=how["duplicates"]),
            activations.chapter(found, data, called=called, made=how["inside"]),
        ]
        findings = Findings(found, data, REPORTS, called, settings.report.mistakes, how)
        chapters = ordered(general, judged.chapters.of(findings) if judged.chapters else [])
        html = page.html(found, data, drawn, called=called, chapters=chapters)
        leaderboard.write_csv(REPORTS / "leaderboard.csv", rows, judged)
        leaderboard.write_pareto(REPORTS / "pareto.csv", rows, judged)
        (REPORTS / "leaderboard.md").write_text(leaderboard.markdown(rows, judged), encoding="utf-8")
        pairs.write_csv(REPORTS / "significance.csv", [row.model for row in rows], duels.pairs if duels else None)
        (REPORTS / "report.html").unlink(missing_ok=True)  # an earlier run may still hold it for MLflow
        (REPORTS / "report.html").write_text(html, encoding="utf-8")
        shutil.rmtree(REPORTS / "figures", ignore_errors=True)
        for figures in (drawn.files, *(chapter.figures for chapter in chapters)):
            svg.write(figures, REPORTS / "figures")
        for name in ("report.html", "leaderboard.csv", "leaderboard.md", "significance.csv", "figures"):
            log.artifact(REPORTS / name)
    say(f"{narrative.headline(rows, data=data.name, called=called)}; the page: {REPORTS / 'report.html'}")


if __name__ == "__main__":
    run(report, sys.argv[1:])
