"""Stage `report`: what every stage found, joined into the leaderboard, the figures and one page."""

import shutil
import sys
from pathlib import Path

from neocog import tracking
from neocog.bundle import read
from neocog.data import prepared
from neocog.errors import run
from neocog.report import drawings, leaderboard, models, page, story
from neocog.report.compressed import chapter, recipe
from neocog.report.robustness import chapter as robustness
from neocog.report.sweeps import read as sweep
from neocog.report.sweeps import section
from pipelines import params

REPORTS = Path("reports")


def report() -> None:
    """Write reports/leaderboard.csv and .md, reports/report.html and reports/figures/*.svg."""
    settings = params.for_stage("report")
    data = prepared.read("data/prepared")
    bundles = [read.read(folder) for folder in settings.models]
    with tracking.start(
        "report", experiment=settings.tracking.experiment, tags={"data.digest": data.digest}, config=settings.resolved()
    ) as log:
        found = models.gather(bundles, data, reports=REPORTS)
        rows = [model.row for model in found]
        called = story.names(rows)
        drawn = drawings.draw(found, called=called)
        sweeps = [section.draw(sweep.read(Path("models/tuned") / name)) for name in settings.tune.architectures]
        compressed = chapter.draw(found, recipe.gather(found), called=called)
        spoilt = robustness.draw(data, reports=REPORTS, called=called)
        html = page.html(
            found,
            data,
            drawn,
            called=called,
            mistakes=settings.report.mistakes,
            sweeps=sweeps,
            compressed=compressed,
            robustness=spoilt,
        )
        leaderboard.write_csv(REPORTS / "leaderboard.csv", rows)
        (REPORTS / "leaderboard.md").write_text(leaderboard.markdown(rows), encoding="utf-8")
        (REPORTS / "report.html").unlink(missing_ok=True)  # an earlier run may still hold it for MLflow
        (REPORTS / "report.html").write_text(html, encoding="utf-8")
        shutil.rmtree(REPORTS / "figures", ignore_errors=True)
        drawn.write(REPORTS / "figures")
        for each in sweeps:
            each.write(REPORTS / "figures")
        if compressed:
            compressed.write(REPORTS / "figures")
        if spoilt:
            spoilt.write(REPORTS / "figures")
        for name in ("report.html", "leaderboard.csv", "leaderboard.md", "figures"):
            log.artifact(REPORTS / name)
    print(f"{story.headline(rows, data=data.name, called=called)}; the page: {REPORTS / 'report.html'}")


if __name__ == "__main__":
    run(report, sys.argv[1:])
