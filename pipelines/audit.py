"""Stage `audit`: which labels look wrong to a model that was not trained on them, and which images two splits share. Drops nothing."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from neocog import tracking
from neocog.bundle import read
from neocog.bundle.read import Bundle
from neocog.core.errors import UserError, run
from neocog.data import prepared
from neocog.data.prepared import Prepared
from neocog.evaluation import audit as audits
from neocog.evaluation import predictions
from neocog.params import load
from neocog.tasks import task as tasks
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification.predictions import Predictions
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
    bundle = read.read(
        _best(settings.models, tasks.task(data.task).primary) if how.model == "best" else Path("models") / how.model
    )
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
        judged = {
            split: class_predictions.calibrated(_judged(bundle, data, split), bundle.temperature) for split in splits
        }
        doubts, pairs = audits.doubts(data, judged), audits.twins(data, within=how.within)
        found = audits.summary(judged, doubts, pairs)
        FOLDER.mkdir(parents=True, exist_ok=True)
        audits.write(FOLDER / "labels.csv", doubts, audits.Doubt)
        audits.write(FOLDER / "duplicates.csv", pairs, audits.Twins)
        shown = {"within": how.within, "shown": {"images": how.images, "duplicates": how.duplicates}}
        (FOLDER / "audit.json").write_text(json.dumps({"model": bundle.model, **found, **shown}, indent=2) + "\n")
        log.metrics({f"audit/{name}": value for name, value in found.items()})
        for name in ("labels.csv", "duplicates.csv", "audit.json"):
            log.artifact(FOLDER / name)
    doubted = (
        f"doubts {found['suspects']:,} of {found['images']:,} labels"
        if found["able"]
        else f"cannot judge labels: it gets {found['right']:.1%} of the images right (at least {found['right_at_least']:.1%})"
    )
    print(
        f"audit: {bundle.model} {doubted}; "
        f"{found['test_twins']:,} of {found['test_images']:,} test images have a twin in train"
    )


def _judged(bundle: Bundle, data: Prepared, name: str) -> Predictions:
    """What the bundle says about a split; about the test split it may have been asked before."""
    part, path = data.split(name), REPORTS / bundle.model / "predictions.parquet"
    if name == "test" and path.is_file():
        judged = class_predictions.read(path)
        if judged.ids.tolist() != part.ids.tolist():
            raise UserError(f"{path} is about other images than {data.folder}; `dvc repro` judges {bundle.model} again")
        return judged
    logits = predictions.outputs(bundle, part.images, batch_size=BATCH)
    return class_predictions.of(logits, ids=part.ids, labels=part.targets)


def _best(folders: Sequence[Path], metric: Metric) -> Path:
    """The best model on the test images; the first of equals."""
    models = {f"{folder.parent.name}/{folder.name}": folder for folder in folders}
    scores = {each: metric.better * predictions.test_score(REPORTS, each, metric=metric.name) for each in models}
    return models[max(scores, key=lambda each: scores[each])]


if __name__ == "__main__":
    run(audit, sys.argv[1:])
