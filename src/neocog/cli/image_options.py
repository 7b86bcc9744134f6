"""The options by which a verb is told the image that it is about; `subject.py` finds it."""

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Add `--image FILE` and `--sample N`, of which one may be given."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--image", metavar="FILE", type=Path, help="any picture; made square and resized as `prepare` does"
    )
    which.add_argument(
        "--sample",
        metavar="N",
        type=int,
        help="test image N of data/prepared, from 0 (default: the first it gets right)",
    )
