"""Stage `tune@<name>`: a Ray Tune sweep around today's settings; the winner becomes a bundle if it is proven better."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

from neocog import architectures, tracking
from neocog.architectures.pretrained import digest
from neocog.bundle import read
from neocog.core import resume_state
from neocog.data import prepared
from neocog.evaluation import predictions
from neocog.orchestration.forked_stage import run
from neocog.params import load
from neocog.report.sweeps import chapter
from neocog.report.sweeps import read as sweeps
from neocog.tasks.task import task
from pipelines.item import arguments

BATCH = 256  # images that a graph is asked about at once


def tune(block: str) -> None:
    """Search as params.yaml says; writes models/tuned/<block> with trials.csv and best.yaml. No test image is looked at."""
    settings = load.for_stage(f"tune@{block}")
    how, where, space = settings.tune, settings.ray, settings.space(block)
    architecture, recipe, sizes = settings.architecture(block), settings.recipe(block), settings.sizes(block)
    data = prepared.read("data/prepared")
    before = read.read(Path("models/trained") / block)
    predictions.match(before, data)

    from neocog.bundle import provenance, write  # torch and Ray from here on
    from neocog.training.fit import claim, key
    from neocog.tuning import child_runs, cluster, record, sweep, trial

    resolved = {"train": recipe.asdict(), "architecture": {"name": architecture, **sizes}, "tune": settings.raw["tune"]}
    code = provenance.code_digest(architecture, task=data.task)
    name = f"{block}-{key(data=data.digest, code=code, **resolved, **digest.of_file(sizes))}"
    work, folder = Path(".neocog/tuning") / name, Path("models/tuned") / block
    job = trial.job(
        architecture,
        recipe,
        sizes,
        data,
        block=block,
        name=name,
        **where.model_dump(exclude={"address", "runtime_env"}),
    )
    budget = sweep.SweepBudget(
        **{each: getattr(how, each) for each in ("trials", "epochs", "images", "finalists", "seeds")}
    )
    with (
        claim(work, f"tune@{block}"),
        tracking.start(
            f"tune@{block}",
            experiment=settings.tracking.experiment,
            tags={"architecture": architecture, "data.digest": data.digest},
            config=resolved,
            resume=work / "run.json",
        ) as log,
        cluster.connected(where.address, runtime_env=where.runtime_env),
    ):
        log.params(asdict(budget) | {"searcher": how.searcher, "scheduler": how.scheduler, "seed": how.seed})
        log.dataset(name=data.name, digest=data.digest, source="data/prepared", context="train")
        experiment = settings.tracking.experiment
        logged = partial(
            child_runs.Children,
            parent=log,
            folder=work / "runs",
            experiment=experiment,
            block=block,
            architecture=architecture,
        )
        found = sweep.explore(
            job, space, budget, searcher=how.searcher, scheduler=how.scheduler, seed=how.seed, children=logged
        )
        finalists = sweep.confirm(job, found, budget, children=logged)
        val, winner = data.split("val"), next(iter(finalists), None)
        today, ours = predictions.outputs(before, val.images, batch_size=BATCH), None
        if winner:
            fitted = sweep.trained(winner, here=work)
            origin = provenance.provenance(fitted, data_digest=data.digest, params=resolved, code_digest=code)
            sizes = job.settings(winner.values)[1]
            data = data.normalized(architectures.normalization(architecture, sizes, channels=data.channels))
            named = {"kind": "tuned", "name": block, "architecture": architecture}
            bundle = write.write(folder, fitted.model, data, **named, sizes=sizes, provenance=origin)
            ours = predictions.outputs(bundle, val.images, batch_size=BATCH)
        choice = record.choose(today, ours, val.targets, task=task(data.task))
        if not choice.better:
            bundle = write.again(folder, before, kind="tuned")
        record.write_trials(folder, found, space, metric=job.metric)
        searched = {"searcher": how.searcher, "scheduler": how.scheduler}
        record.write_best(folder, choice, winner, space, metric=job.metric, how=searched)
        log.metrics(record.metrics(choice, winner))
        log.tags({"bundle.sha256": read.digest(bundle.folder), "better": str(choice.better).lower()})
        chapter.write(sweeps.read(folder, task(data.task).primary), work / "figures")
        log.artifact(folder, folder="bundle")
        log.artifact(work / "figures")
    sweep.remove(job)
    resume_state.remove(work)
    print(f"tune@{block}: {record.sentence(choice, winner, trials=len(found), metric=job.metric)}")


if __name__ == "__main__":
    run(tune, arguments())
