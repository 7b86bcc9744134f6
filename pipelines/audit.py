"""Stage `audit`: which labels look wrong to a model that was not trained on them, and which images two splits share. Drops nothing."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from neocog import tracking
from neocog.bundle import read
from neocog.core import csv_table
from neocog.core.errors import run
from neocog.data import prepared
from neocog.evaluation import audit as audits
from neocog.evaluation import predictions
from neocog.params import load
from neocog.tasks import task as tasks
from neocog.tasks.task import Metric
from pipelines.stale import remove_stale

REPORTS = Path("reports")
FOLDER = REPORTS / "audit"
BATCH = 256  # images that a graph is asked about at once


def audit() -> None:
    """Write reports/audit/labels.csv, the suspected label errors, duplicates.csv, the twins across splits, and audit.json."""
    settings = load.for_stage("audit")
    remove_stale(settings.models)
    how = settings.audit
    data = prepared.read("data/prepared")
    task = tasks.task(data.task)
    bundle = read.read(_best(settings.models, task.primary) if how.model == "best" else Path("models") / how.model)
    predictions.match(bundle, data)
    with tracking.start(
        "audit",
        experiment=settings.tracking.experiment,
        tags={"data.digest": data.digest, "model": bundle.model, "bundle.sha256": read.digest(bundle.folder)},
        config=settings.resolved(),
        resume=tracking.memory("audit"),
    ) as log:
        log.dataset(name=data.name, digest=data.digest, source="data/prepared", context="test")
        splits = ["val", "test", *(["train"] if how.train else [])]
        parts = {name: data.split(name) for name in splits}
        outputs = {name: predictions.outputs(bundle, part.images, batch_size=BATCH) for name, part in parts.items()}
        FOLDER.mkdir(parents=True, exist_ok=True)
        if task.audit:
            found = task.audit.audit(data, parts, outputs, FOLDER, card=bundle.card)
        else:
            found = {}
            csv_table.write(FOLDER / "labels.csv", ("rank",), ())  # nothing is doubted
        pairs, test = audits.twins(data, within=how.within), parts["test"]
        found |= audits.summary(
            pairs,
            test.ids,
            lambda those: task.metrics.primary(outputs["test"][those], test.targets[those]),
            metric=task.primary,
        )
        csv_table.write_rows(FOLDER / "duplicates.csv", pairs, audits.Twins)
        shown = {"within": how.within, "shown": {"images": how.images, "duplicates": how.duplicates}}
        (FOLDER / "audit.json").write_text(json.dumps({"model": bundle.model, **found, **shown}, indent=2) + "\n")
        log.metrics({f"audit/{name}": value for name, value in found.items()})
        for name in ("labels.csv", "duplicates.csv", "audit.json"):
            log.artifact(FOLDER / name)
    doubted = f" {task.audit.sentence(found)};" if task.audit else ""
    print(
        f"audit: {bundle.model}{doubted} {found['test_twins']:,} of {found['test_images']:,} test images have a twin in train"
    )


def _best(folders: Sequence[Path], metric: Metric) -> Path:
    """The best model on the test images; the first of equals."""
    models = {f"{folder.parent.name}/{folder.name}": folder for folder in folders}
    scores = {each: metric.better * predictions.test_score(REPORTS, each, metric=metric.name) for each in models}
    return models[max(scores, key=lambda each: scores[each])]


if __name__ == "__main__":
    run(audit, sys.argv[1:])
