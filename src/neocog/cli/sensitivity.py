"""`neocog sensitivity`: what pruning or rounding each layer alone costs."""

import argparse
from pathlib import Path
from typing import Any

from neocog.bundle.locate import NAMED
from neocog.cli.options import positive
from neocog.core.escape import say


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "sensitivity",
        help="which layers of a trained network bear pruning and rounding",
        description="Take channels from, or round the weights of, one layer of BUNDLE at a time, train nothing, and measure top-1 on "
        "validation images of data/prepared. Draws what each layer costs, writes FILE.csv beside the picture, and names the fragile ones.",
        epilog="examples: neocog sensitivity models/trained/resnet | neocog sensitivity models/tuned/lenet --images 5000 --out lenet.png",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    parser.add_argument("--images", metavar="N", type=positive, default=2000, help="to judge by (default: %(default)s)")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="where to, .svg, .html or .png (default: <bundle's name>-sensitivity.svg here)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from neocog.bundle import locate
    from neocog.data import prepared
    from neocog.evaluation import predictions
    from neocog.inspect.sensitivity import fragile, measure, picture

    bundle, data = locate.find(options.bundle), prepared.read()
    predictions.match(bundle, data)
    path = picture.checked(options.out or Path(f"{bundle.name}-sensitivity.svg"))
    found = measure.measure(bundle, data, images=options.images)
    picture.write(path, found)
    measure.write_csv(path.with_suffix(".csv"), found)
    summary = f"{path} and {path.with_suffix('.csv').name}: {bundle.model} on {found.images:,} validation images"
    say("\n".join([summary, *fragile.sentences(found)]))
