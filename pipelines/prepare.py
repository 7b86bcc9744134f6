"""Stage `prepare`: from where the images lie to data/prepared, the only thing that training reads."""

import sys
import time
from pathlib import Path

from neocog import tracking
from neocog.core.errors import run
from neocog.core.escape import say
from neocog.data import prepare as data
from neocog.params import load

TARGET = Path("data/prepared")


def prepare() -> None:
    """Prepare the images that params.yaml names; writes data/prepared. Input that is refused leaves no run behind."""
    settings = load.for_stage("prepare")
    given = settings.data.model_dump()
    start = time.monotonic()
    prepared = data.prepare(TARGET, **given)
    seconds = time.monotonic() - start
    say(f"{data.summary(prepared)}\n{seconds:.1f} s", flush=True)
    with tracking.start(
        "prepare",
        experiment=settings.tracking.experiment,
        tags={"data.digest": prepared.digest},
        config=settings.resolved(),
        resume=tracking.memory("prepare"),
    ) as log:
        log.params({f"data.{key}": value for key, value in given.items()})
        log.metrics(
            {
                **{f"prepare/{split}": prepared.num_images(split) for split in prepared.counts},
                "prepare/classes": len(prepared.classes),
                "prepare/quarantined": len(prepared.quarantined()),
                "prepare/seconds": round(seconds, 3),
            }
        )
        log.dataset(name=prepared.name, digest=prepared.digest, source=given["source"], context="prepare")
        log.artifact(TARGET / "dataset.json")
        log.artifact(TARGET / "quarantine.csv")


if __name__ == "__main__":
    run(prepare, sys.argv[1:])
