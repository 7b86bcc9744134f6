"""Stages `evaluate@<architecture>` and `evaluate_tuned@...`: judge the ONNX graph of a bundle on the test images, without torch."""

import json
from pathlib import Path

from neocog import tracking
from neocog.bundle import read
from neocog.core.errors import run
from neocog.core.escape import say
from neocog.data import prepared
from neocog.evaluation import predictions, seeds
from neocog.params import load
from neocog.statistics import slices
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification import tables
from neocog.tasks.classification.group_gaps import gaps
from neocog.tasks.classification.metrics import headlines, sentence
from neocog.tasks.classification.trust import trust
from pipelines.item import arguments

WRITTEN = (
    "metrics.json",
    "predictions.parquet",
    "per_class.csv",
    "confusion.csv",
    "reliability.csv",
    "groups.csv",
    "group_confusion.csv",
)


def evaluate(model: str) -> None:
    """Judge models/<model>, or models/trained/<model>; writes its metrics, predictions and tables under reports/."""
    kind, _, name = model.rpartition("/")
    stage = f"evaluate_{kind}@{name}" if kind else f"evaluate@{name}"
    settings = load.for_stage(stage)
    how = settings.evaluate
    data = prepared.read("data/prepared")
    bundle = read.read(Path("models") / (kind or "trained") / name)
    predictions.match(bundle, data)
    digest, reports = read.digest(bundle.folder), Path("reports") / bundle.model
    with tracking.start(
        stage,
        experiment=settings.tracking.experiment,
        tags={
            "architecture": bundle.architecture,
            "data.digest": data.digest,
            "bundle.sha256": digest,
        },
        config=settings.resolved(),
        resume=tracking.memory(stage),
    ) as log:
        log.dataset(name=data.name, digest=data.digest, source="data/prepared", context="test")
        test = data.split("test")
        logits = predictions.logits(bundle, test.images, batch_size=how.batch_size)
        scores = headlines(logits, test.targets, bins=how.bins, resamples=how.bootstrap, seed=how.seed)
        scores |= trust(logits, test.targets, bins=how.bins, temperature=bundle.card["temperature"])
        judged = class_predictions.of(logits, ids=test.ids, labels=test.targets)
        names, columns = [data.classes[label] for label in test.targets], data.groups("test")
        scores |= gaps(judged.labels, judged.predicted, columns, classes=data.classes)
        by_seed = seeds.judge(bundle, logits, test, bins=how.bins, batch_size=how.batch_size)
        scores |= seeds.summary(by_seed)

        reports.mkdir(parents=True, exist_ok=True)
        metrics = {f"test/{name}": round(score, 6) for name, score in scores.items()}
        (reports / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        class_predictions.write(reports / "predictions.parquet", judged)
        tables.per_class(reports / "per_class.csv", judged, data.classes)
        tables.confusion(reports / "confusion.csv", judged, data.classes)
        tables.reliability(reports / "reliability.csv", judged, bins=how.bins)
        tables.groups(reports / "groups.csv", judged, columns | slices.crossed(names, columns))
        tables.group_confusion(reports / "group_confusion.csv", judged, data.classes, columns)
        if bundle.kind == "trained":
            seeds.write(reports / "seeds.csv", by_seed)
            log.artifact(reports / "seeds.csv")
        log.metrics(metrics)
        log.scores(digest, metrics)
        for name in WRITTEN:
            log.artifact(reports / name)
    say(f"{bundle.model}: {sentence(scores)}")


if __name__ == "__main__":
    run(evaluate, arguments())
