"""`neocog models`: list the architectures."""

import argparse
from typing import Any


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "models",
        help="list the architectures: year, size, idea and forms",
        description="List the architectures by year, or tell everything about one: paper, forms, and the keys of its block in params.yaml.",
        epilog="examples: neocog models | neocog models resnet",
    )
    parser.add_argument("architecture", metavar="ARCH", nargs="?", help="tell everything about this one")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from neocog.inspect import catalog

    print(catalog.page(options.architecture) if options.architecture else catalog.table())
