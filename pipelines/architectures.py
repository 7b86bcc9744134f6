"""Stage `architectures`: the source files of each block's network and task, by their SHA-256, so that an edit retrains only what it is in.

A training depends on the file of its block, which changes when one of these files does. No torch, about a second.
"""

import hashlib
import json
import sys
from pathlib import Path

from neocog import tracking
from neocog.architectures.pretrained import digest
from neocog.bundle.sources import PACKAGE, sources
from neocog.core.errors import run
from neocog.params import load

TARGET = Path("data/architectures")


def architectures() -> None:
    """Write data/architectures/<block>.json for each block under `architectures` in params.yaml."""
    settings = load.for_stage("architectures")
    task = settings.data.task
    TARGET.mkdir(parents=True, exist_ok=True)
    with tracking.start(
        "architectures",
        experiment=settings.tracking.experiment,
        config=settings.resolved(),
        resume=tracking.memory("architectures"),
    ) as log:
        for block in settings.architectures:
            architecture = settings.architecture(block)
            files = {
                path.relative_to(PACKAGE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sources(architecture, task)
            }
            weights = digest.of_file(settings.sizes(block))  # that it begins with
            found = {"architecture": architecture, "task": task, "files": files, **weights}
            (TARGET / f"{block}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        log.artifact(TARGET)


if __name__ == "__main__":
    run(architectures, sys.argv[1:])
