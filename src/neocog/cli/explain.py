"""`neocog explain`: draw the pixels that an answer depends on."""

import argparse
from pathlib import Path
from typing import Any

from neocog.bundle.locate import NAMED
from neocog.cli import options as shared
from neocog.core import output
from neocog.core.escape import say
from neocog.inspect import explain


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "explain",
        help="draw where a network looked when it answered",
        description="Draw what speaks for an answer of BUNDLE about one image, by one method or by all that have something to say of it. "
        "Bright is where it looked; orange pixels speak for the class, blue ones against it.",
        epilog="examples: neocog explain models/trained/resnet | neocog explain models/trained/vit --image shoe.jpg --method rollout",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    shared.add_image(parser)
    parser.add_argument("--method", metavar="M", help=f"one of {', '.join(explain.names())} (default: all)")
    parser.add_argument("--of", metavar="CLASS", help="what speaks for this class (default: for its answer)")
    parser.add_argument(
        "--out", metavar="FILE.png", type=Path, help="where to (default: <bundle's name>-explained.png)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from neocog.bundle import locate
    from neocog.inspect import image as images
    from neocog.inspect.activations_poster import write
    from neocog.inspect.explain import poster

    bundle = locate.find(options.bundle)
    path = output.checked(options.out or Path(f"{bundle.name}-explained.png"), ".png")
    methods = [options.method] if options.method else explain.names()
    for name in methods:
        explain.method(name)
    image, about = images.of(options, bundle)
    explanation = poster.explained(bundle, image, methods, of=options.of)
    write(poster.draw(explanation, image, about=about), path)
    silent = "".join(f"; {name} has nothing to say: {why}" for name, why in explanation.missing.items())
    say(f"{path}: what speaks for {explanation.target} in {about}, by {', '.join(explanation.maps)}{silent}")
