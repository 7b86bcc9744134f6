"""Write a Parquet file of columns whose types are named as text; the same columns give the same bytes."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


def write(
    path: Path, columns: Mapping[str, Sequence[object]], *, types: Mapping[str, str], repetitive: Collection[str] = ()
) -> None:
    """Columns by name, text where `types` does not say otherwise; the `repetitive` ones are stored by a dictionary of their values."""
    import pyarrow
    import pyarrow.parquet

    kinds = {column: _type(types.get(column, "string")) for column in columns}
    table = pyarrow.table({column: pyarrow.array(values, kinds[column]) for column, values in columns.items()})
    pyarrow.parquet.write_table(table, path, compression="zstd", use_dictionary=list(repetitive), store_schema=False)


def _type(name: str) -> "pyarrow.DataType":
    """A type of Arrow by its name, such as int64 or list<int64>."""
    import pyarrow

    if name.startswith("list<"):
        return pyarrow.list_(_type(name[5:-1]))
    return pyarrow.type_for_alias(name)
