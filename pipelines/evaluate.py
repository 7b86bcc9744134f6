"""Stages `evaluate@<name>`, `evaluate_tuned@...`, `evaluate_compressed@...`: judge a bundle's graph on the test images, without torch."""

import json
import shutil
from pathlib import Path

from neocog import tracking
from neocog.bundle import read
from neocog.core.errors import run
from neocog.core.escape import say
from neocog.data import prepared
from neocog.evaluation import predictions, seeds
from neocog.params import load
from neocog.tasks.task import COUNTS, CURVES, TABLES, EvaluationContext
from neocog.tasks.task import task as task_named
from pipelines.item import arguments

FOLDERS = (TABLES, CURVES, COUNTS)  # of the task's own files, whichever they are


def evaluate(model: str) -> None:
    """Judge models/<model>, or models/trained/<model>; writes its metrics, predictions and tables under reports/."""
    kind, _, name = model.rpartition("/")
    stage = f"evaluate_{kind}@{name}" if kind else f"evaluate@{name}"
    settings = load.for_stage(stage)
    how = settings.evaluate
    data = prepared.read("data/prepared")
    bundle = read.read(Path("models") / (kind or "trained") / name)
    predictions.match(bundle, data)
    task = task_named(data.task)
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
        outputs = predictions.outputs(bundle, test.images, batch_size=how.batch_size)
        judged = task.predictions.of(outputs, ids=test.ids, targets=test.targets, card=bundle.card)
        for folder in FOLDERS:
            shutil.rmtree(reports / folder, ignore_errors=True)
            (reports / folder).mkdir(parents=True)
        task.predictions.write(reports / "predictions.parquet", judged)
        context = EvaluationContext(
            data.classes, bundle.card, data.groups("test"), **how.model_dump(exclude={"batch_size", "tta"})
        )
        scores = task.evaluate.evaluate(outputs, judged, context, reports)
        by_seed = seeds.judge(bundle, outputs, test, bins=how.bins, batch_size=how.batch_size)
        scores |= seeds.summary(by_seed, task.primary)
        told = [task.evaluate.sentence(scores)]
        if how.tta != "none":
            means, passes = predictions.averaged(bundle, test.images, how.tta, batch_size=how.batch_size)
            name = task.primary.name
            better = task.metrics.numbers(means, test.targets, bins=how.bins)[name]
            scores |= {f"tta_{name}": better, "tta_passes": passes}
            told.append(f"test-time augmentation ({how.tta}): {name} {better:.4f} at {passes} times the cost")
        metrics = {f"test/{name}": round(score, 6) for name, score in scores.items()}
        (reports / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        seeds.write(reports / TABLES / "seeds.csv", by_seed)
        log.metrics(metrics)
        log.scores(digest, metrics)
        for name in ("metrics.json", "predictions.parquet", *FOLDERS):
            log.artifact(reports / name)
    say(f"{bundle.model}: {'; '.join(told)}")


if __name__ == "__main__":
    run(evaluate, arguments())
