"""`neocog predict`: predict image files."""

import argparse
from pathlib import Path
from typing import Any

from neocog.bundle.locate import NAMED
from neocog.cli.options import at_least


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "predict",
        help="what a trained network says of image files",
        description="Ask BUNDLE about each FILE, and about every file below each folder: one line a file, decoded exactly as `prepare` "
        "does. Files that cannot be used are named on stderr with the reason, and make the exit code 2; all others are answered.",
        epilog="examples: neocog predict models/trained/resnet shoe.jpg photos/ | neocog predict models:/neocog@champion photos/ --csv",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="an image, or a folder of them")
    parser.add_argument(
        "--top", metavar="K", type=int, default=3, help="likeliest classes to name (default: %(default)s)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="one JSON object a line")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="a table")
    parser.add_argument(
        "--resize",
        choices=("crop", "pad", "stretch"),
        help="how an image of other proportions gets the bundle's size (default: as the bundle says, else crop)",
    )
    parser.add_argument(
        "--workers", metavar="N", type=int, default=0, help="processes that decode (default: one for each core)"
    )
    parser.set_defaults(run=_run, form="text")


def _run(options: argparse.Namespace) -> None:
    at_least(options, top=1, workers=0)
    from neocog.bundle import locate
    from neocog.evaluation.preparation import preparation
    from neocog.serving import files, output_formats, predict, predictor

    bundle = locate.find(options.bundle)
    how = preparation(bundle)
    how["resize"] = options.resize or how["resize"]
    found = files.find(options.files)
    answers = predict.predict(predictor.load(bundle), found, how=how, workers=options.workers)
    output_formats.show(answers, bundle, top=options.top, form=options.form, total=len(found))
