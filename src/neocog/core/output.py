"""Output of a verb: checks of `--out` before anything is computed, and lines for a terminal or a pipe."""

from pathlib import Path
from typing import TYPE_CHECKING

from neocog.core.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

WHOLE = 10_000  # characters of a line that goes to no terminal: never cut


def checked(path: Path, *formats: str) -> Path:
    """`path`, if its suffix is one of `formats` (".png", ...), the only ones that are written. Raises UserError."""
    if path.suffix.lower() not in formats:
        raise UserError(
            f"--out (={path}): a picture ends with {', '.join(formats)}; name it {path.with_suffix(formats[0])}"
        )
    return path


def console() -> "Console":
    """A console of rich for standard output, which cuts lines for a terminal only and leaves a reader who has gone to `errors.run`."""
    import rich.console

    class Console(rich.console.Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    found = Console()
    return found if found.is_terminal else Console(width=WHOLE)
