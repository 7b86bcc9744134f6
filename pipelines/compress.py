"""Stage `compress@<recipe>`: a bundle made smaller and faster, step by step, and the verdict on its goals."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from neocog import tracking
from neocog.bundle import read
from neocog.core import resume_state
from neocog.core.escape import say
from neocog.data import prepared
from neocog.evaluation import predictions
from neocog.orchestration.forked_stage import run
from neocog.params import load
from neocog.tasks import task as tasks
from pipelines.item import arguments

ALONE: dict[str, Any] = {"devices": 1, "num_nodes": 1, "strategy": "auto"}  # one process judges the steps and writes


def compress(recipe: str) -> None:
    """Carry out the steps of `recipe`; writes models/compressed/<recipe> with verdict.json. No test image is looked at."""
    settings = load.for_stage(f"compress@{recipe}")
    how = settings.compression(recipe)
    data = prepared.read("data/prepared")
    parent = read.read(Path("models") / how.model)
    predictions.match(parent, data)
    data = data.normalized(parent.normalization)
    goals = asdict(how.goals)

    from neocog.bundle import provenance  # torch from here on
    from neocog.compression.chain import execute, export, finetune
    from neocog.training.fit import claim, key

    trained = parent.card["provenance"]["params"]["train"]  # what a step trains with, unless it says otherwise
    teachers = {name: read.digest(read.read(name).folder) for step in how.steps for name in step.get("teachers", ())}
    resolved = {
        "train": trained,
        "compress": {"parent": read.digest(parent.folder), "teachers": teachers, **how.model_dump()},
    }
    students = sorted({step["student"] for step in how.steps if step.get("student")})
    code = provenance.code_digest(parent.architecture, *students, task=data.task, rooms=["compression"])
    work = Path(".neocog/compression") / f"{recipe}-{key(data=data.digest, code=code, **resolved)}"
    with (
        claim(work, f"compress@{recipe}"),
        tracking.start(
            f"compress@{recipe}",
            experiment=settings.tracking.experiment,
            tags={"architecture": parent.architecture, "data.digest": data.digest, "parent": parent.model},
            config=resolved,
            resume=work / "run.json",
        ) as log,
    ):
        log.params({"model": how.model, "steps": json.dumps(how.steps)} | goals)
        log.dataset(name=data.name, digest=data.digest, source="data/prepared", context="train")
        trains = [
            finetune.trainer(
                data,
                replace(settings.recovery(step, trained, where=f"compress.{recipe}.steps[{number}]"), **ALONE),
                name=f"{recipe}/{step['method']}",
                work=work / str(number),
                run=finetune.PrefixedRun(log, f"{number}.{step['method']}"),
            )
            for number, step in enumerate(how.steps)
        ]
        kept, verdict = execute.walk(parent, how.steps, goals, data, recipe=recipe, trains=trains)
        bundle = export.ship(
            Path("models/compressed") / recipe,
            kept,
            data,
            name=recipe,
            steps=how.steps,
            provenance=provenance.determined(data_digest=data.digest, params=resolved, code_digest=code),
            verdict=verdict,
        )
        log.metrics(execute.metrics(verdict, tasks.task(parent.task).primary))
        log.tags({"bundle.sha256": read.digest(bundle.folder), "goals": execute.outcome(verdict)})
        log.artifact(bundle.folder, folder="bundle")
    resume_state.remove(work)
    say(f"compress@{recipe}: {execute.sentence(verdict)}")


if __name__ == "__main__":
    run(compress, arguments())
