"""Stage `register`: the best model that meets the goals becomes models:/<name>@champion in MLflow's registry."""

import json
import sys
from pathlib import Path

from neocog import tracking
from neocog.bundle import read
from neocog.core.errors import run
from neocog.core.escape import say
from neocog.params import load
from neocog.registry import choose
from neocog.registry import register as registration
from neocog.tasks.task import task

REGISTERED = Path("reports/registered.json")


def register() -> None:
    """Promote a model by the rule; writes reports/registered.json, which says which (no version and no run: those differ by store)."""
    settings = load.for_stage("register")
    how = settings.register
    bundle, row = choose.best(prefer=how.prefer, limits=how.goals.model_dump())
    digest, metric = read.digest(bundle.folder), task(bundle.task).primary.name
    with tracking.start(
        "register",
        experiment=settings.tracking.experiment,
        tags={"architecture": bundle.architecture, "model": bundle.model, "bundle.sha256": digest},
        config=settings.resolved(),
        resume=tracking.memory("register"),
    ) as log:
        promoted = registration.register(bundle, name=how.name, experiment=settings.tracking.experiment)
        registration.score()
        log.metrics({f"test/{metric}": row.score})
        shown = {metric: row.score, "latency_ms": row.latency_ms, "size_bytes": row.size_bytes}
        chosen = {"name": how.name, "model": bundle.model, "bundle_sha256": digest, **shown}
        REGISTERED.write_text(json.dumps(chosen, indent=2) + "\n")
        log.artifact(REGISTERED)
    say(f"register: {registration.sentence(bundle, promoted, name=how.name)}")


if __name__ == "__main__":
    run(register, sys.argv[1:])
