"""Write a Parquet file of columns whose types are named as text; the same columns give the same bytes."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

ROWS = 1 << 17  # of a row group, which is in memory as a whole


def write(
    path: Path, columns: Mapping[str, Sequence[object]], *, types: Mapping[str, str], repetitive: Collection[str] = ()
) -> None:
    """Columns by name, text where `types` does not say otherwise; the `repetitive` ones are stored by a dictionary of their values."""
    import pyarrow
    import pyarrow.parquet

    kinds = {column: _type(types.get(column, "string")) for column in columns}
    rows = max(map(len, columns.values()), default=0)
    schema = pyarrow.schema(kinds.items())
    with pyarrow.parquet.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=list(repetitive), store_schema=False
    ) as file:
        for start in range(0, max(1, rows), ROWS):
            part = [pyarrow.array(values[start : start + ROWS], kinds[column]) for column, values in columns.items()]
            file.write_table(pyarrow.Table.from_arrays(part, schema=schema))


def _type(name: str) -> "pyarrow.DataType":
    """A type of Arrow by its name, such as int64 or list<int64>."""
    import pyarrow

    if name.startswith("list<"):
        return pyarrow.list_(_type(name[5:-1]))
    return pyarrow.type_for_alias(name)
