"""Python's UTF-8 mode where the locale has ASCII only (LC_ALL=C with PYTHONUTF8=0): names of files and classes may hold any letter."""

import os
import sys

SWITCH = "PYTHONUTF8"


def ensure() -> None:
    """Start this process again in UTF-8 mode, which its children inherit, unless names of files have an encoding of their own."""
    if sys.getfilesystemencoding() == "ascii" and os.environ.get(SWITCH) != "1":
        os.environ[SWITCH] = "1"
        os.execv(sys.executable, sys.orig_argv)
