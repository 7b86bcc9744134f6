"""Measured, never asserted: each file prints the table that stands in docs/benchmarks.md.

Every file here without a leading underscore is `python -m benchmarks.<name>`: its docstring is its `--help` and says what is
measured and how long that takes, `main(arguments)` runs it, and `--tiny` does so on digits, in seconds, with nothing prepared before.
tests/test_benchmarks.py walks them all.
"""

import argparse


def parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """The arguments of `python -m benchmarks.<name>`: its docstring as help, and `--tiny`."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--tiny",
        action="store_true",
        help="a trial run on digits in seconds; needs nothing prepared, its figures mean nothing",
    )
    return made
