"""Stage `code` of a project beside an installed neocog: digests of the code that its other stages depend on. No torch, milliseconds."""

import sys
from pathlib import Path

from neocog.core.errors import run
from neocog.project import code as installed


def code() -> None:
    """Write the digests that dvc.yaml names below data/code."""
    installed.write(Path("dvc.yaml"))


if __name__ == "__main__":
    run(code, sys.argv[1:])
