"""Capture the output of noisy runtimes; show it only when they fail."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

from neocog.core.errors import NeocogError


@contextmanager
def quiet() -> Iterator[None]:
    """Keep prints, warnings, log lines and what C++ writes to the process's stderr; the last comes out with an exception that nobody
    foresaw."""
    disabled, kept = logging.root.manager.disable, os.dup(2)
    with tempfile.TemporaryFile() as said, warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except NeocogError:
            raise
        except BaseException:
            os.dup2(kept, 2)
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            logging.disable(disabled)
