"""`neocog fastest`: time memory formats and precisions of an architecture on this machine."""

import argparse
import os
from typing import Any

from neocog import architectures
from neocog.cli.options import data_task, image_shape, image_size, network, positive, within
from neocog.core import constrained_types, errors, output
from neocog.core.image_size import format_size

LONGEST = 3600  # seconds that a combination may be timed


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "fastest",
        help="measure which memory format and precision trains an architecture fastest here",
        description="Time a few training steps of ARCH in each memory format and precision, in turns, and print the table. "
        "Put the winner into the architecture's block in params.yaml: results must not depend on a machine's mood, "
        "so neocog never chooses by itself.",
        epilog="example: neocog fastest resnet",
    )
    parser.add_argument(
        "architecture", metavar="ARCH", help=f"a block of params.yaml, or one of {', '.join(architectures.names())}"
    )
    parser.add_argument(
        "--size",
        type=image_size,
        metavar="N",
        help="side of the images in pixels, or HxW (default: that of data/prepared, else 28)",
    )
    parser.add_argument(
        "--channels", type=int, choices=(1, 3), help="of the images (default: those of data/prepared, else 1)"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="spent on each combination (default: %(default)s)")
    parser.add_argument("--threads", type=positive, help="CPU threads (default: one for each core)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    card, block, batch_size = network(options.architecture)
    within("--size", options.size and max(options.size), constrained_types.LARGEST_IMAGE)
    within("--threads", options.threads, os.cpu_count() or 1, why=", the cores of this machine")
    if not 0 < options.seconds <= LONGEST:
        raise errors.UserError(f"--seconds (={options.seconds:g}) must be above 0 and at most {LONGEST}")
    sizes = {key: value for key, value in block.items() if key in card.sizes}
    shape, judged = image_shape(options.size, options.channels), data_task()

    import torch
    from rich.table import Table

    from neocog.inspect.fastest import measure

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    console = output.console()
    with console.status("building ...") as status:
        speeds = measure(
            lambda: architectures.build(card.name, **shape, sizes=sizes),
            task=judged,
            **shape,
            batch_size=batch_size,
            name=card.name,
            seconds=options.seconds,
            on_turn=status.update,
        )
    default = next(speed for speed in speeds if speed.precision == "32-true" and not speed.channels_last)
    table = Table(title=f"{card.name} at {format_size(shape['size'])} px, batch {batch_size}: whole training steps")
    for column in ("channels_last", "precision", "images/s", "against the default"):
        table.add_column(column, justify="right")
    for speed in speeds:
        ratio = speed.images_per_second / default.images_per_second
        said = f"{speed.precision}; wrong gradients: {speed.wrong}" if speed.wrong else speed.precision
        table.add_row(str(speed.channels_last).lower(), said, f"{speed.images_per_second:,.0f}", f"{ratio:.2f}x")
    console.print(table)
    best = speeds[0]
    console.print(f"fastest here: channels_last: {str(best.channels_last).lower()}, precision: {best.precision}")
