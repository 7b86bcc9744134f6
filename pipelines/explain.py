"""Stage `explain`: where the best networks looked, on test images that they got right and wrong."""

import sys
from pathlib import Path

from neocog import tracking
from neocog.bundle import read
from neocog.data import prepared
from neocog.evaluation import predictions
from neocog.orchestration.forked_stage import run
from neocog.params import load
from neocog.tasks import task as tasks
from pipelines.stale import remove_stale

REPORTS = Path("reports")
FOLDER = REPORTS / "explained"


def explain() -> None:
    """Write reports/explained/explained.json and maps.npz for the report."""
    settings = load.for_stage("explain")
    remove_stale(settings.models)
    data = prepared.read("data/prepared")
    explained = hasattr(tasks.task(data.task).examples, "answered")  # else outputs are none that a map could be about
    bundles = [read.read(folder) for folder in settings.models if folder.parent.name != "compressed" and explained]
    primary = tasks.task(data.task).primary
    bundles.sort(key=lambda each: -primary.better * predictions.test_score(REPORTS, each.model, metric=primary.name))
    with tracking.start(
        "explain",
        experiment=settings.tracking.experiment,
        tags={"data.digest": data.digest},
        config=settings.resolved(),
        resume=tracking.memory("explain"),
    ) as log:
        from neocog.inspect.explain import gallery, inputs  # torch from here on, after all that can be wrong cheaply

        test = data.split("test")
        shown, maps = [], {}
        for bundle, model, methods in gallery.choose(bundles, test.images):
            predictions.match(bundle, data)
            task = tasks.task(bundle.task)
            judged = task.predictions.read(REPORTS / bundle.model / "predictions.parquet")
            rows = task.examples.choose(judged, images=settings.explain.images)
            chosen = [row for of_kind in rows.values() for row in of_kind]
            shown.append(gallery.shown(bundle, methods, rows))
            given = inputs(bundle, test.images[chosen])
            if warning := gallery.cost_warning(bundle.model, model, given, methods, each=settings.explain.images):
                print(warning, flush=True)
            targets = task.examples.answered(judged, chosen)
            for name, drawn in gallery.maps(
                bundle, model, methods, images=test.images[chosen], targets=targets
            ).items():
                maps[f"{bundle.model}/{name}"] = drawn
            print(f"explain: {bundle.model} by {', '.join(methods)}, {len(chosen)} images")
        gallery.write(FOLDER, shown, maps)
        log.artifact(FOLDER)


if __name__ == "__main__":
    run(explain, sys.argv[1:])
