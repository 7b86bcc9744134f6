"""The command line: `neocog VERB`. Nothing heavy is imported before the verb that needs it is known."""

import argparse
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neocog import architectures, errors

GUIDE = """
The pipeline itself is DVC's: `dvc repro` runs what changed, `dvc exp run -S train.epochs=2` tries something,
`dvc exp show` and `mlflow ui` compare. These verbs answer questions on the side.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse `arguments` (those of the process by default) and run the verb; exit codes as in `neocog.errors`."""
    parser = argparse.ArgumentParser(
        prog="neocog",
        description="Train, compress and compare convolutional networks, reproducibly.",
        epilog=GUIDE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"neocog {version('neocog')}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    fastest = verbs.add_parser(
        "fastest",
        help="measure which memory format and precision trains an architecture fastest here",
        description="Time a few training steps of ARCH in each memory format and precision, in turns, and print the table. "
        "Put the winner into the architecture's block in params.yaml: results must not depend on a machine's mood, "
        "so neocog never chooses by itself.",
        epilog="example: neocog fastest resnet",
    )
    fastest.add_argument("architecture", metavar="ARCH", help=f"one of {', '.join(architectures.names())}")
    fastest.add_argument(
        "--size", type=_positive, help="side of the images in pixels (default: that of data/prepared, else 28)"
    )
    fastest.add_argument(
        "--channels", type=int, choices=(1, 3), help="of the images (default: those of data/prepared, else 1)"
    )
    fastest.add_argument("--seconds", type=float, default=2.0, help="spent on each combination (default: %(default)s)")
    fastest.add_argument("--threads", type=_positive, help="CPU threads (default: one for each core)")
    fastest.set_defaults(run=_fastest)

    models = verbs.add_parser("models", help="list the architectures: year, name and idea")
    models.set_defaults(run=_models)

    options = parser.parse_args(arguments)
    errors.run(options.run, [options])


def _positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return int(text)


def _models(options: argparse.Namespace) -> None:
    for name in architectures.names():
        card = architectures.card(name)
        print(f"{card.year}  {name:<12} {card.idea}")


def _fastest(options: argparse.Namespace) -> None:
    card = architectures.card(options.architecture)
    block, train = _params(options.architecture)
    sizes = {key: value for key, value in block.items() if key in card.sizes}
    batch_size = block.get("batch_size", train.get("batch_size", 64))
    shape = _shape(options.size, options.channels)

    import torch
    from rich.console import Console
    from rich.table import Table

    from neocog.fastest import measure

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    console = Console()
    with console.status("building ...") as status:
        speeds = measure(
            lambda: architectures.build(card.name, **shape, sizes=sizes),
            **shape,
            batch_size=batch_size,
            seconds=options.seconds,
            on_turn=status.update,
        )
    default = next(speed for speed in speeds if speed.precision == "32-true" and not speed.channels_last)
    table = Table(title=f"{card.name} at {shape['size']} px, batch {batch_size}: whole training steps")
    for column in ("channels_last", "precision", "images/s", "against the default"):
        table.add_column(column, justify="right")
    for speed in speeds:
        ratio = speed.images_per_second / default.images_per_second
        table.add_row(
            str(speed.channels_last).lower(), speed.precision, f"{speed.images_per_second:,.0f}", f"{ratio:.2f}x"
        )
    console.print(table)
    best = speeds[0]
    console.print(f"fastest here: channels_last: {str(best.channels_last).lower()}, precision: {best.precision}")


def _params(architecture: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The architecture's block and the `train` section of params.yaml, where there is one."""
    path = Path("params.yaml")
    if not path.is_file():
        return {}, {}
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise errors.UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    return (raw.get("architectures") or {}).get(architecture) or {}, raw.get("train") or {}


def _shape(size: int | None, channels: int | None) -> dict[str, int]:
    """Size, channels and classes: as asked for, else those of data/prepared, else 28, 1 and 10."""
    from neocog.data import prepared

    found = prepared.read("data/prepared") if Path("data/prepared/dataset.json").is_file() else None
    return {
        "size": size or (found.size if found else 28),
        "channels": channels or (found.channels if found else 1),
        "classes": len(found.classes) if found else 10,
    }


if __name__ == "__main__":
    main()
