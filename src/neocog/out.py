"""The file that a verb is told to write: asked about before anything is computed."""

from pathlib import Path

from neocog.errors import UserError


def checked(path: Path, *formats: str) -> Path:
    """`path`, if its suffix is one of `formats` (".png", ...), the only ones that are written. Raises UserError."""
    if path.suffix.lower() not in formats:
        raise UserError(
            f"--out (={path}): a picture ends with {', '.join(formats)}; name it {path.with_suffix(formats[0])}"
        )
    return path
