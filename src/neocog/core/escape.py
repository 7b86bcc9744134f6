"""Escape control characters and bidirectional marks in text for the terminal."""

import re
import sys
from io import TextIOWrapper
from typing import TextIO

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1: a terminal obeys them, XML forbids them
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # they reorder what stands beside them (Trojan Source, 2021)
    "\ud800-\udfff]"  # what is left of a file name that is no UTF-8, and cannot be written as UTF-8
)


def visible(text: str) -> str:
    r"""`text` with each such character as `\x9b`, `\u202e`, ...; tabs and newlines stay."""
    return _HIDDEN.sub(_escape, text)


def say(text: str, *, file: TextIO | None = None, flush: bool = False) -> None:
    """Print `text`, which may hold names that others chose, with `visible`."""
    print(visible(text), file=file, flush=flush)


def escape_unwritable() -> None:
    """A letter that the terminal's encoding does not have is printed as an escape, and is no reason to end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
