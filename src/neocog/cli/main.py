"""The command line: `neocog VERB`. Nothing heavy is imported before the verb that needs it is known."""

import argparse
from collections.abc import Sequence
from importlib.metadata import version

from neocog.cli import (
    augment,
    explain,
    export,
    fastest,
    init,
    inspect,
    models,
    plan,
    predict,
    register,
    repro,
    reproduce,
    sensitivity,
    serve,
    shapes,
)
from neocog.core import errors

VERBS = (
    init,
    repro,
    augment,
    fastest,
    models,
    plan,
    inspect,
    predict,
    serve,
    register,
    export,
    explain,
    reproduce,
    sensitivity,
    shapes,
)
GUIDE = """
`neocog init my-project --data DIR` begins a project for your images.
The pipeline itself is DVC's: `neocog repro` runs what changed as `dvc repro` does, several stages at once,
`neocog exp run -S train.epochs=2` tries something, `dvc exp show` and `mlflow ui` compare. These verbs answer questions on the side.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse `arguments` (those of the process by default) and run the verb; exit codes as in `neocog.core.errors`."""
    errors.run(_run, [arguments], unread="ends")


def _run(arguments: Sequence[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="neocog",
        description="Train, compress and compare convolutional networks, reproducibly.",
        epilog=GUIDE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"neocog {version('neocog')}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    for verb in VERBS:
        verb.add(verbs)

    options, more = parser.parse_known_args(arguments)
    if more and not getattr(options, "takes_more", False):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    options.more = more
    options.run(options)


if __name__ == "__main__":
    main()
