"""Memory of `prepare` hardly grows with the number of images: what is known of each is in columns of bytes, not in Python objects."""

import hashlib
import io
import json
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neocog.core.columns import DigestColumn, Ordered, TextColumn, take, update_with_json
from neocog.data.decoding.decode import Decoded
from neocog.data.prepare import prepare
from neocog.data.sources import folder

SOURCES = ("webdataset", "huggingface", "folder")


def undecoded(root: Path, paths: Any, **how: Any) -> Iterator[tuple[int, Decoded]]:
    """What `decode_all` gives, made up: decoding takes time, and memory of other processes."""
    for i, path in enumerate(paths):
        sha256 = hashlib.sha256(path.encode()).hexdigest()
        yield i, Decoded(sha256, sha256=sha256, content=b"x", sums=np.zeros((2, 1), np.int64))


def write(source: str, root: Path, count: int) -> None:
    """`count` files, which are no images."""
    root.mkdir(parents=True)
    if source == "folder":
        for label in ("a", "b"):
            (root / label).mkdir()
            for i in range(count // 2):
                (root / label / f"{i:08}.jpg").touch()
    elif source == "huggingface":
        import pyarrow.parquet

        rows = {"image": [b"x"] * count, "label": ["a", "b"] * (count // 2)}
        pyarrow.parquet.write_table(pyarrow.table(rows), root / "x.parquet")
    else:
        for start in range(0, count, 500):
            with tarfile.open(root / f"{start:08}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
                for i in range(start, start + 500):
                    tar.addfile(tarfile.TarInfo(f"{i:08}.jpg"))
                    label = tarfile.TarInfo(f"{i:08}.cls")
                    label.size = 1
                    tar.addfile(label, io.BytesIO(b"ab"[i % 2 : i % 2 + 1]))


def peak(source: str, folder: Path, count: int) -> int:
    write(source, folder / f"raw{count}", count)
    tracemalloc.start()
    prepare(folder / "prepared", source=source, root=folder / f"raw{count}", size=4, channels=1, store="encoded")
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return taken


@pytest.mark.parametrize("source", SOURCES)
def test_an_image_more_takes_a_few_hundred_bytes(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """250 in the end; what is held for the moment ends with the first 16,384 images. As lists of text it was 1,400."""
    monkeypatch.setattr(folder, "decode_all", undecoded)
    peak(source, tmp_path / "warm", 500)  # imports
    less, more = (peak(source, tmp_path / f"{count}", count) for count in (1000, 4000))
    assert (more - less) / 3000 < 700


def taken(kind: type) -> float:
    """Bytes a row of 1,000 paths."""
    tracemalloc.start()
    kept = kind(f"shard-{i:04}/{i:08}.jpg" for i in range(1000))
    found = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    return found


def test_a_column_of_text_takes_little_more_than_its_bytes() -> None:
    assert taken(TextColumn) < 45
    assert taken(list) > 75


def test_columns_are_sequences_and_hash_as_lists_of_json() -> None:
    words = ["a", "", "ü", "b\udce9.jpg", "a"]  # one name of a file is no UTF-8
    column = TextColumn(words)
    assert list(column) == words == column[:] and (column[-1], column[1:3]) == ("a", ["", "ü"])
    digests = DigestColumn(3)
    digests[1] = "ab" * 32
    assert list(digests) == ["00" * 32, "ab" * 32, "00" * 32] == digests[:] and digests[1] == "ab" * 32
    rows = np.array([3, 0])
    assert list(take(column, rows)) == [words[3], "a"] == take(words, rows) and isinstance(
        take(column, rows), TextColumn
    )
    assert take(column, np.arange(5)) is column and take(digests, rows[1:])[:] == ["00" * 32]
    assert Ordered(words, rows)[:] == [words[3], "a"] and Ordered(words, rows)[1] == "a"
    for values in ([], words[:1], [*range(40_000)], [None, "x"] * 9000):
        streamed = hashlib.sha256()
        update_with_json(streamed, values)
        assert streamed.hexdigest() == hashlib.sha256(json.dumps(values).encode()).hexdigest()
