"""Source files that an architecture is built from for a task, found by their imports. No torch."""

from pathlib import Path

import neocog
from neocog import architectures
from neocog.core import imports

PACKAGE = Path(neocog.__file__).parent
TASK = (
    "targets",
    "transforms",
    "objective",
    "decode",
    "metrics",
)  # files of a task that decide how a network is trained


def sources(architecture: str, task: str) -> list[Path]:
    """The files of the architecture, its exchangeable blocks, first weights and the task, and all of neocog that these import."""
    room, about = PACKAGE / "architectures", architectures.card(architecture)
    files = architectures.everywhere()
    starts = [
        room / "__init__.py",
        files[architecture],
        *(files[name] for name in (architectures.backbones() if about.task else ())),  # it stands on one of them
        *(room / "pretrained").glob("*.py"),
        *(room / "blocks" / f"{block}.py" for block in about.blocks),
        PACKAGE / "tasks/task.py",
        *(path for name in TASK if (path := PACKAGE / "tasks" / task / f"{name}.py").is_file()),
    ]
    return sorted(imports.closure(starts, packages={"neocog": PACKAGE}))
