"""Data sets of Hugging Face without their package: folders that `save_to_disk` wrote (Arrow), and Parquet with the bytes of images.

    data.root/train-00000-of-00002.parquet, validation-..., test-...        as on the Hub
    data.root/train/data-00000-of-00001.arrow, test/...                     as `DatasetDict.save_to_disk` writes

The split stands in a file's path, or in a column `split`. The image is the column whose rows are `{bytes, path}` or bytes; names of
classes come from the features that the file itself describes (ClassLabel). Columns of text, numbers and booleans become groups.
Rows are read in order and a few at a time: memory does not grow with the data.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Unpack

from neocog.core.errors import UserError, nearest
from neocog.data.decoding.encoded import Encoded, Unavailable
from neocog.data.sources.folder import Reading
from neocog.data.sources.labelled import Labelled, read_labelled, splits_named
from neocog.data.sources.listing import list_files
from neocog.data.sources.source import Source
from neocog.data.sources.table import LABEL, SPLIT, split_cell, texts

if TYPE_CHECKING:
    import pyarrow

_ROWS = 16  # that are in memory at a time: each may be a photograph
_CACHE = "cache-"  # files that `datasets` keeps beside its own
_UNKNOWN = "-1"  # of a ClassLabel: not given
_ENDED = Unavailable("unreadable: the file ends before this row")


@dataclass(frozen=True)
class _File:
    path: Path
    name: str  # below data.root
    image: str  # its column
    rows: int


def huggingface(root: Path, *, label: str = LABEL, **how: Unpack[Reading]) -> Source:
    """Read the images below `root`, whose labels are in the column `label`. Raises UserError."""
    listing = list_files(root)
    names = [path for path in listing.paths if _is_data(path)]
    if not names:
        raise UserError(
            f"data.root (={str(root)!r}) holds no .parquet and no .arrow file; name the folder of the data set"
        )
    found = Labelled(listing.root, leftovers=listing.leftovers, refused=list(listing.refused))
    split_of = splits_named(names)
    read: list[_File] = []
    classes: Sequence[str] | None = None
    for name in names:
        path = listing.root / name
        try:
            schema, columns, rows = _columns(path, name, label)
        except UserError:
            raise
        except (OSError, ValueError) as error:  # pyarrow's own errors are among them
            found.refused.append((name, f"unreadable: {_line(error)}"))
            continue
        features = _features(schema)
        image = _image_column(name, schema, features)
        own = _class_names(features.get(label))
        if read and own != classes:
            raise UserError(
                f"{name}: its classes are not those of {read[0].name}; bring all files to the same features"
            )
        classes = own
        read.append(_File(path, name, image, rows))
        found.paths.extend(f"{name}/{row}" for row in range(rows))
        found.labels += _labels(name, columns.pop(label), own)
        given = columns.pop(SPLIT, None)
        found.splits += [
            split_of[name] if given is None else split_cell(f"{name}, column split", cell)
            for cell in given or [None] * rows
        ]
        for column in {*columns, *found.groups}:
            earlier = found.groups.setdefault(column, [None] * (len(found.paths) - rows))
            earlier += columns.get(column) or [None] * rows
    found.classes = classes
    found.groups = dict(sorted(found.groups.items()))
    found.encoded = _Images(read)
    found.mean_bytes = sum(file.path.stat().st_size for file in read) // max(1, len(found.paths))
    return read_labelled(found, **how)


def _is_data(path: str) -> bool:
    name = PurePosixPath(path)
    return name.suffix in (".parquet", ".arrow") and not name.name.startswith(_CACHE)


def _columns(path: Path, name: str, label: str) -> "tuple[pyarrow.Schema, dict[str, list[str | None]], int]":
    """The schema, every column that can be told as text, and the number of rows."""
    import pyarrow
    import pyarrow.types

    schema = _schema(path)
    if label not in schema.names:
        raise UserError(
            f"{name}: no column {label!r}; {nearest(label, schema.names)}; set data.label to the column of the labels"
        )
    kinds = pyarrow.types
    plain = [
        field.name
        for field in schema
        if field.name in (label, SPLIT)
        or kinds.is_boolean(field.type) or kinds.is_integer(field.type)
        or kinds.is_string(field.type) or kinds.is_large_string(field.type) or kinds.is_dictionary(field.type)
    ]  # fmt: skip
    table = pyarrow.Table.from_batches(
        list(_batches(path, plain, size=65536)), schema=pyarrow.schema([schema.field(n) for n in plain])
    )
    return (
        schema,
        {column: texts(f"{name}: column {column!r}", table.column(column)) for column in plain},
        table.num_rows,
    )


def _schema(path: Path) -> "pyarrow.Schema":
    import pyarrow.parquet

    if path.suffix == ".parquet":
        return pyarrow.parquet.read_schema(path)
    with pyarrow.memory_map(str(path)) as file:
        return _opened_arrow(file).schema


def _batches(path: Path, columns: Sequence[str], *, size: int) -> "Iterator[pyarrow.RecordBatch]":
    """The rows of some columns, at most `size` at a time."""
    import pyarrow.parquet

    if path.suffix == ".parquet":
        with pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as parquet:
            yield from parquet.iter_batches(size, columns=[*columns], use_threads=False)
        return
    with pyarrow.memory_map(str(path)) as file:
        reader = _opened_arrow(file)
        whole = (
            (reader.get_batch(i) for i in range(reader.num_record_batches)) if hasattr(reader, "get_batch") else reader
        )
        for batch in whole:
            chosen = batch.select([*columns])
            chosen.validate(full=True)  # a damaged file must not lead beyond its end
            yield from (chosen.slice(start, size) for start in range(0, chosen.num_rows, size))


def _opened_arrow(file: Any) -> Any:
    """A reader of Arrow's stream format, which `datasets` writes, or of its file format."""
    import pyarrow

    start = file.read(6)
    file.seek(0)
    return pyarrow.ipc.open_file(file) if start == b"ARROW1" else pyarrow.ipc.open_stream(file)


def _features(schema: "pyarrow.Schema") -> Mapping[str, Any]:
    """What `datasets` noted of the columns in the file; nothing elsewhere."""
    with suppress(KeyError, TypeError, ValueError):
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return features if isinstance(features, dict) else {}
    return {}


def _image_column(name: str, schema: "pyarrow.Schema", features: Mapping[str, Any]) -> str:
    import pyarrow

    def is_image(kind: "pyarrow.DataType") -> bool:
        if pyarrow.types.is_struct(kind):
            return kind.get_field_index("bytes") >= 0
        return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)

    images = [column for column in schema.names if is_image(schema.field(column).type)]
    noted = [
        column
        for column in images
        if isinstance(features.get(column), dict) and features[column].get("_type") == "Image"
    ]
    chosen = next((column for column in ("image", "img") if column in images), None)
    if chosen or len(noted or images) == 1:
        return chosen or (noted or images)[0]
    what = (
        f"several columns of images ({', '.join(images)}); name one of them image"
        if images
        else "no column of images ({bytes, path}, or bytes)"
    )
    raise UserError(f"{name}: {what}")


def _class_names(feature: Any) -> Sequence[str] | None:
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return [str(each) for each in feature["names"]]
    return None


def _labels(name: str, labels: list[str | None], classes: Sequence[str] | None) -> list[str | None]:
    """Labels as text: the names of a ClassLabel's numbers."""
    if classes is None:
        return labels
    for label in labels:
        if label not in (None, _UNKNOWN) and not (label and label.isdecimal() and int(label) < len(classes)):
            raise UserError(f"{name}: the label {label!r} is none of its {len(classes)} classes, which count from 0")
    return [None if label in (None, _UNKNOWN) else classes[int(label or 0)] for label in labels]


class _Images(Sequence[Encoded]):
    """The bytes of each row of several files, read in order; asking for an earlier row begins its file again."""

    def __init__(self, files: Sequence[_File]) -> None:
        self.files = files
        self.file, self.row = -1, 0  # the row that `rows` gives next
        self.rows: Iterator[Encoded] = iter(())

    def __len__(self) -> int:
        return sum(file.rows for file in self.files)

    def __getitem__(self, i: Any) -> Any:
        number = 0
        while i >= self.files[number].rows:
            i -= self.files[number].rows
            number += 1
        if number != self.file or i < self.row:
            self.file, self.row, self.rows = number, 0, _images(self.files[number])
        while self.row < i:
            next(self.rows, None)
            self.row += 1
        self.row += 1
        return next(self.rows, _ENDED)


def _images(file: _File) -> Iterator[Encoded]:
    """The bytes of each row; what cannot be read says so and ends the file."""
    try:
        for batch in _batches(file.path, [file.image], size=_ROWS):
            for value in batch.column(0).to_pylist():
                content = value.get("bytes") if isinstance(value, dict) else value
                if content is None:
                    path = value.get("path") if isinstance(value, dict) else None
                    also = f", only the path {path!r}; save the data set again with its bytes" if path else ""
                    yield Unavailable(f"no bytes: the row holds no image{also}")
                else:
                    yield content
    except (OSError, ValueError) as error:
        reason = f"unreadable: {_line(error)}"
        while True:
            yield Unavailable(reason)


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
