"""Tables of the page: columns, rows and cells, which the macro `table` of macros.html writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan

from neocog.drawing import numbers


@dataclass(frozen=True)
class TableColumn:
    """`about` is shown on hover, `look` a CSS class; `first` is the order of the first click, `sorted` the one that the rows stand in."""

    heading: str
    about: str = ""
    look: str = ""
    first: str = ""
    sorted: str = ""


@dataclass(frozen=True)
class TableCell:
    """`value` is what the column is sorted by, where it is not `text`; `note` stands in small below, `bar` (0 to 1) is drawn before it."""

    text: str
    value: object = None
    note: str = ""
    look: str = ""
    bar: float | None = None


@dataclass(frozen=True)
class TableRow:
    """`model` is whose row it is, `look` a CSS class."""

    cells: Sequence[TableCell]
    model: str = ""
    look: str = ""


def cell(
    value: float | None, write: Callable[[float], str], *, note: str = "", look: str = "", bar: bool = False
) -> TableCell:
    """A number as `write` puts it, with a `bar` if it is a fraction that wants one; without note and look where there is none."""
    if value is None or isnan(value):
        return TableCell(numbers.MISSING, "")
    return TableCell(write(value), value, note, look, value if bar else None)
