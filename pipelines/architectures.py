"""Stage `architectures`: the source files of each block's network and task, by their SHA-256, so that an edit retrains only what it is in.

A training depends on the file of its block, which changes when one of these files does. No torch, about a second.
"""

import hashlib
import json
import sys
from pathlib import Path

import neocog
from neocog import architectures as networks
from neocog import tracking
from neocog.core import imports
from neocog.core.errors import run
from neocog.params import load

TARGET = Path("data/architectures")
PACKAGE = Path(neocog.__file__).parent
TASK = ("targets", "objective", "decode", "metrics")  # files of a task that decide how a network is trained


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
            found = {"architecture": architecture, "task": task, "files": files}
            (TARGET / f"{block}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        log.artifact(TARGET)


def sources(architecture: str, task: str) -> list[Path]:
    """The files that decide what network an architecture gives for a task, and all of neocog that these import."""
    room = PACKAGE / "architectures"
    starts = [
        room / "__init__.py",
        room / f"{architecture}.py",
        *(room / "blocks" / f"{block}.py" for block in networks.card(architecture).blocks),
        PACKAGE / "tasks/task.py",
        *(path for name in TASK if (path := PACKAGE / "tasks" / task / f"{name}.py").is_file()),
    ]
    return sorted(imports.closure(starts, packages={"neocog": PACKAGE}))


if __name__ == "__main__":
    run(architectures, sys.argv[1:])
