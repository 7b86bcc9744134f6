"""`neocog inspect`: draw filters and activations of a trained network."""

import argparse
from pathlib import Path
from typing import Any

from neocog.bundle.locate import NAMED
from neocog.cli import options as shared
from neocog.core import output
from neocog.core.escape import say


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "inspect",
        help="draw what goes on inside a trained network",
        description="Draw BUNDLE at work on one image: what it says, the first weights that the image meets, and what becomes of the "
        "image at several depths. Dark is the lowest answer of a map, bright its highest; the most varied maps come first.",
        epilog="examples: neocog inspect models/trained/resnet | neocog inspect models/trained/lenet --image shoe.jpg --out shoe.png",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    shared.add_image(parser)
    parser.add_argument(
        "--out", metavar="FILE.png", type=Path, help="where to (default: <bundle's name>-inside.png here)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from neocog.bundle import locate
    from neocog.inspect import activation_rows, activations, activations_poster
    from neocog.inspect import image as subject
    from neocog.tasks.task import task

    bundle = locate.find(options.bundle)
    path = output.checked(options.out or Path(f"{bundle.name}-inside.png"), ".png")
    bundle.session(threads=1)  # a damaged graph is said in a sentence
    image, about = subject.of(options, bundle)
    found = activations.look(bundle, image)
    likeliest = task(bundle.task).respond.likeliest(found.prediction, card=bundle.card, top=activations_poster.CLASSES)
    activations_poster.write(
        activations_poster.draw(found, image, likeliest=likeliest, name=bundle.model, about=about), path
    )
    said = ", ".join(f"{name} ({probability:.1%})" for name, probability in likeliest[:1])
    say(f"{path}: {bundle.model} says {said} of {about}; {activation_rows.summary(found)}")
