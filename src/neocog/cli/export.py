"""`neocog export`: convert a bundle for another runtime; heavy imports wait until its extra is found."""

import argparse
import sys
from pathlib import Path
from typing import Any

from neocog.bundle.locate import NAMED
from neocog.core.escape import say
from neocog.edge import EXTRAS, require


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    export = verbs.add_parser(
        "export",
        help="write a trained network for another runtime: ExecuTorch, OpenVINO",
        description="Write BUNDLE for another runtime, hold the file against it on real images of data/prepared, and time both, one image "
        "at a time in turns. A file that answers otherwise is not written. The figures stand in FILE.json too.",
        epilog="examples: neocog export models/trained/resnet --to executorch --int8 | neocog export models/tuned/lenet --to openvino",
    )
    export.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    export.add_argument("--to", required=True, choices=sorted(EXTRAS), help="the runtime, an extra of this package")
    export.add_argument("--int8", action="store_true", help="in integers, with ranges measured on training images")
    export.add_argument(
        "--out", metavar="FILE", type=Path, help="where to, .pte or .xml (default: named after the bundle, here)"
    )
    export.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    require(options.to)
    from rich.console import Console

    from neocog.bundle import locate
    from neocog.data import prepared

    bundle, data = locate.find(options.bundle), prepared.read()
    with Console(file=sys.stdout).status(
        "exporting ..."
    ):  # file: what a runtime prints is kept from sys.stdout meanwhile
        from neocog.edge import export

        record = export.export(bundle, data, to=options.to, int8=options.int8, out=options.out)
    say(export.summary(record))
