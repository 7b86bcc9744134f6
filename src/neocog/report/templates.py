"""Pages and chapters written as jinja2 templates."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neocog.drawing import numbers

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent


def render(template: Path, **values: Any) -> str:
    """The template with `values`, of which all text is escaped; `draw` takes markup as it is."""
    return _environment(template.parent).get_template(template.name).render(**values)


@cache
def _environment(folder: Path) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([folder, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"draw": Markup, "numbers": numbers}
    return environment
