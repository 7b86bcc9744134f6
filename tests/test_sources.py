"""Data as people have them: tables, Hugging Face's files, WebDataset and IDX give what the same images in folders give."""

import gzip
import io
import json
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from pictures import content
from PIL import Image

from neocog.core.errors import UserError
from neocog.data.prepare import prepare
from neocog.data.prepared import Prepared
from neocog.data.sources.digits import digits

DIGITS = digits()
CHOSEN = [i for i in range(400) if DIGITS.targets[i] < 3]  # real digits of three classes
LABELS = ("01", "nan", "true")  # that look like a number, a missing value and a boolean


def label(i: int) -> str:
    return LABELS[DIGITS.targets[i]]


def split(i: int) -> str:
    return ("train", "train", "val", "test")[CHOSEN.index(i) % 4]


def png(i: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(DIGITS.images[i][..., 0]).save(file, "PNG")
    return file.getvalue()


def as_folder(root: Path) -> Path:
    for i in CHOSEN:
        path = root / split(i) / label(i) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(i))
    return root


def files(root: Path) -> Path:
    (root / "files").mkdir(parents=True)
    for i in CHOSEN:
        (root / "files" / f"{i}.png").write_bytes(png(i))
    return root


def rows(*, columns: str = "path,label,split,writer") -> str:
    return columns + "\n" + "".join(f"files/{i}.png,{label(i)},{split(i)},w{i % 5}\n" for i in CHOSEN)


def as_csv(root: Path) -> Path:
    files(root)
    (root / "labels.csv").write_text(rows())
    return root


def as_table_in_parquet(root: Path) -> Path:
    files(root)
    table = {
        "path": [f"files/{i}.png" for i in CHOSEN],
        "label": [label(i) for i in CHOSEN],
        "split": [split(i) for i in CHOSEN],
        "writer": [f"w{i % 5}" for i in CHOSEN],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), root / "labels.parquet")
    return root


def images_table(chosen: list[int], *, schema: bool = True) -> pyarrow.Table:
    """As `datasets` writes it: images as {bytes, path}, labels as numbers whose names stand in the schema."""
    image = [{"bytes": png(i), "path": f"{i}.png"} for i in chosen]
    features = {"image": {"_type": "Image"}, "label": {"names": list(LABELS), "_type": "ClassLabel"}}
    table = pyarrow.table(
        {
            "image": pyarrow.array(image, pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})),
            "label": [int(DIGITS.targets[i]) for i in chosen],
            "writer": [f"w{i % 5}" for i in chosen],
        }
    )
    return table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})} if schema else {}
    )


def as_hub(root: Path) -> Path:
    root.mkdir(parents=True)
    for name, part in (("train", "train"), ("val", "validation"), ("test", "test")):
        chosen = [i for i in CHOSEN if split(i) == name]
        pyarrow.parquet.write_table(images_table(chosen), root / f"{part}-00000-of-00001.parquet", row_group_size=20)
    return root


def as_saved_to_disk(root: Path) -> Path:
    for name in ("train", "val", "test"):
        (root / name).mkdir(parents=True)
        table = images_table([i for i in CHOSEN if split(i) == name])
        with pyarrow.ipc.new_stream(root / name / "data-00000-of-00001.arrow", table.schema) as writer:
            writer.write_table(table, max_chunksize=20)
        (root / name / "state.json").write_text("{}")
    (root / "dataset_dict.json").write_text('{"splits": ["train", "val", "test"]}')
    return root


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def as_tars(root: Path) -> Path:
    for name in ("train", "val", "test"):
        (root / name).mkdir(parents=True)
        with tarfile.open(root / name / "000.tar", "w") as tar:
            for i in CHOSEN:
                if split(i) == name:
                    add(tar, f"{i:06}.png", png(i))
                    add(tar, f"{i:06}.cls", label(i).encode())
                    add(tar, f"{i:06}.json", json.dumps({"writer": f"w{i % 5}", "boxes": [1, 2]}).encode())
    return root


def as_idx(root: Path, *, gz: bool = True) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, prefix in (("train", "train"), ("val", "validation"), ("test", "t10k")):
        chosen = [i for i in CHOSEN if split(i) == name]
        images = struct.pack(">HBBIII", 0, 8, 3, len(chosen), 8, 8) + DIGITS.images[chosen].tobytes()
        numbers = struct.pack(">HBBI", 0, 8, 1, len(chosen)) + DIGITS.targets[chosen].astype(np.uint8).tobytes()
        for what, data in (("images-idx3", images), ("labels-idx1", numbers)):
            (root / f"{prefix}-{what}-ubyte{'.gz' * gz}").write_bytes(gzip.compress(data) if gz else data)
    (root / "classes.txt").write_text("\n".join(LABELS))
    return root


WAYS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "csv": ("table", as_csv),
    "parquet table": ("table", as_table_in_parquet),
    "hub": ("huggingface", as_hub),
    "saved to disk": ("huggingface", as_saved_to_disk),
    "tars": ("webdataset", as_tars),
    "idx": ("idx", as_idx),
}


def run(source: str, root: Path, target: Path, **options: object) -> Prepared:
    return prepare(target, source=source, root=root, **({"size": 8, "workers": 1} | options))  # type: ignore[arg-type]


def samples(data: Prepared) -> list[dict[str, object]]:
    return [row for name in data.counts for row in data.samples(name).to_pylist()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("folder")
    return run("folder", as_folder(folder / "raw"), folder / "p")


@pytest.mark.parametrize("way", WAYS)
def test_every_source_gives_the_images_labels_and_splits_that_folders_give(
    way: str, whole: Prepared, tmp_path: Path
) -> None:
    source, write = WAYS[way]
    data = run(source, write(tmp_path / "raw"), tmp_path / "p")
    assert (tmp_path / "p" / "images.npy").read_bytes() == (whole.folder / "images.npy").read_bytes()
    assert (data.classes, data.counts, data.mean) == (LABELS, whole.counts, whole.mean)
    assert data.quarantined() == []
    told = [(row["split"], row["label"], row["sha256"]) for row in samples(data)]
    assert told == [(row["split"], row["label"], row["sha256"]) for row in samples(whole)]
    assert source == "idx" or {row["writer"] for row in samples(data)} == {f"w{k}" for k in range(5)}


@pytest.mark.parametrize("way", ["csv", "hub", "saved to disk", "tars"])
def test_workers_and_the_order_of_rows_change_no_byte(way: str, tmp_path: Path) -> None:
    source, write = WAYS[way]
    root = write(tmp_path / "raw")
    one, two = run(source, root, tmp_path / "one"), run(source, root, tmp_path / "two", workers=2)
    assert content(one.folder) == content(two.folder)
    if way == "csv":
        head, *lines = (root / "labels.csv").read_text().splitlines()
        (root / "labels.csv").write_text("\n".join([head, *reversed(lines)]))
        three = run(source, root, tmp_path / "three")
        assert content(three.folder)["images.npy"] == content(one.folder)["images.npy"]
        assert content(three.folder)["samples.parquet"] == content(one.folder)["samples.parquet"]


def test_another_label_or_group_is_another_data_set(tmp_path: Path) -> None:
    root = as_csv(tmp_path / "raw")
    digests = {run("table", root, tmp_path / "p").source_digest}
    for old, new in ((",w1", ",w9"), (f",{label(CHOSEN[0])},train", f",{label(CHOSEN[1])},train")):
        (root / "labels.csv").write_text(rows().replace(old, new, 1))
        digests.add(run("table", root, tmp_path / "p").source_digest)
    assert len(digests) == 3


def test_a_table_may_lie_under_another_name_and_call_its_labels_otherwise(tmp_path: Path) -> None:
    root = files(tmp_path / "raw")
    (root / "meta.csv").write_text(rows(columns="path,diagnosis,split,id"))
    data = run("table", root, tmp_path / "p", table=root / "meta.csv", label="diagnosis")
    assert data.classes == LABELS
    assert any("'id' is no group" in note for note in data.notes)


def test_types_of_parquet_become_text(tmp_path: Path) -> None:
    root = files(tmp_path / "raw")
    for values, classes in (([True, False], ("false", "true")), ([7, 10], ("10", "7")), ([0.5, float("nan")], ())):
        table = {"path": [f"files/{i}.png" for i in CHOSEN], "label": [values[k % 2] for k in range(len(CHOSEN))]}
        pyarrow.parquet.write_table(pyarrow.table(table), root / "labels.parquet")
        if classes:
            assert run("table", root, tmp_path / "p").classes == classes
        else:
            with pytest.raises(UserError, match="only one class"):
                run("table", root, tmp_path / "q")


def test_rows_that_cannot_be_used_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    root = as_csv(tmp_path / "raw")
    (tmp_path / "secret.png").write_bytes(png(CHOSEN[0]))
    (root / "files" / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "files" / "unlisted.png").write_bytes(png(CHOSEN[1]))
    (root / "files" / "bad.png").write_bytes(b"")
    more = [
        "nothing.png,01",
        "../secret.png,01",
        f"{tmp_path}/secret.png,01",
        "files/link.png,01",
        "files/bad.png,01",
        ",01",
    ]
    (root / "labels.csv").write_text(
        rows() + "".join(f"{row},train,w0\n" for row in more) + f"files/{'0' * 90}.png,,,\n"
    )
    data = run("table", root, tmp_path / "p")
    reasons = {path: reason.partition(":")[0] for path, reason in data.quarantined()}
    assert reasons == {
        "nothing.png": "missing file",
        "../secret.png": "path leaves the folder",
        f"{tmp_path}/secret.png": "path leaves the folder",
        "files/link.png": "link leaves the folder",
        "files/bad.png": "empty file",
        ".": "no path",
        f"files/{'0' * 90}.png": "missing file",
    }
    assert data.notes == ("1 images have no row in labels.csv and are passed over, the first: files/unlisted.png",)
    with pytest.raises(UserError, match="7 files are refused"):
        run("table", root, tmp_path / "q", on_bad="stop")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "labels.csv: no column 'path'"),
        ("path,labels\nx,y\n", "no column 'label'; did you mean 'labels'"),
        ("path,label,label\nx,y,z\n", "different, non-empty names"),
        ("path,label\n", "no rows"),
        ("path,label\nx\n", "line 2: 1 cells, the header has 2"),
        (rows() + rows().splitlines()[1] + "\n", r"line \d+: 'files/\d+.png' was there before, in line 2"),
        (rows().replace(",val,", ",dev,"), r"line \d+: split \(='dev'\) is unknown"),
        ("path,label\nx," + "y" * 200_000, "not a CSV in UTF-8 .field larger"),
        (
            "path,label\n" + "".join(f"files/{i}.png,{'Cat' if i % 2 else 'cat'}\n" for i in CHOSEN),
            "labels 'Cat' and 'cat' are one name",
        ),
        ("path,label\n" + "".join(f"files/{i}.png,{'c' * 300}\n" for i in CHOSEN), "no readable image"),
        ("path,label\nfiles/x.png,a\nfiles/y.png,b\n", "no readable image .2 were refused"),
    ],
)
def test_a_table_that_is_wrong_is_told_in_one_sentence(table: str, message: str, tmp_path: Path) -> None:
    root = files(tmp_path / "raw")
    (root / "labels.csv").write_text(table)
    with pytest.raises(UserError, match=message) as caught:
        run("table", root, tmp_path / "p")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "p").exists()


def test_limits_of_pixels_hold_for_every_source(tmp_path: Path) -> None:
    for way in ("csv", "hub", "tars"):
        source, write = WAYS[way]
        with pytest.raises(UserError, match=r"too many pixels: 8 x 8 = 64, data\.max_pixels is 63"):
            run(source, write(tmp_path / way), tmp_path / "p", max_pixels=63)


def test_parquet_rows_without_bytes_labels_or_an_image_are_named(tmp_path: Path) -> None:
    root = as_hub(tmp_path / "raw")
    table = images_table(CHOSEN[:5])
    image = table.column("image").to_pylist()
    image[0], image[1], image[2] = None, {"bytes": None, "path": "/etc/passwd"}, {"bytes": b"no image", "path": None}
    table = table.set_column(0, "image", pyarrow.array(image, table.schema.field("image").type))
    table = table.set_column(1, "label", pyarrow.array([0, 0, 0, -1, None]))
    pyarrow.parquet.write_table(
        table.replace_schema_metadata(images_table([]).schema.metadata), root / "train-bad.parquet"
    )
    (root / "train-cut.parquet").write_bytes((root / "test-00000-of-00001.parquet").read_bytes()[:-200])
    data = run("huggingface", root, tmp_path / "p")
    reasons = dict(data.quarantined())
    assert {path: reason.partition(":")[0] for path, reason in reasons.items()} == {
        "train-bad.parquet/0": "no bytes",
        "train-bad.parquet/1": "no bytes",
        "train-bad.parquet/2": "not an image",
        "train-bad.parquet/3": "no label",
        "train-bad.parquet/4": "no label",
        "train-cut.parquet": "unreadable",
    }
    assert "'/etc/passwd'" in reasons["train-bad.parquet/1"]


def test_a_damaged_page_of_parquet_refuses_the_rest_of_its_file(tmp_path: Path) -> None:
    root = as_hub(tmp_path / "raw")
    path = root / "train-00000-of-00001.parquet"
    damaged = bytearray(path.read_bytes())
    column = pyarrow.parquet.ParquetFile(path).metadata.row_group(2).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    damaged[start : start + 40] = bytes(40)
    path.write_bytes(damaged)
    data = run("huggingface", root, tmp_path / "p")
    assert {reason.partition(":")[0] for _, reason in data.quarantined()} == {"unreadable"}
    assert len(data.quarantined()) + len(samples(data)) == len(CHOSEN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns("label"), "no column 'label'.*set data.label"),
        (lambda table: table.drop_columns("image"), "no column of images"),
        (lambda table: table.set_column(1, "label", pyarrow.array([7] * len(table))), "'7' is none of its 3 classes"),
        (lambda table: table.set_column(1, "label", pyarrow.array([[1]] * len(table))), "holds list"),
        (lambda table: table.replace_schema_metadata({}), "its classes are not those of"),
    ],
)
def test_parquet_of_another_make_is_told_in_one_sentence(
    change: Callable[[pyarrow.Table], pyarrow.Table], message: str, tmp_path: Path
) -> None:
    root = as_hub(tmp_path / "raw")
    pyarrow.parquet.write_table(change(images_table(CHOSEN[:9])), root / "train-zz.parquet")
    with pytest.raises(UserError, match=message) as caught:
        run("huggingface", root, tmp_path / "p")
    assert "train-zz.parquet" in str(caught.value)


def test_what_is_wrong_in_a_tar_is_named_and_nothing_leaves_it(tmp_path: Path) -> None:
    root = as_tars(tmp_path / "raw")
    with tarfile.open(root / "train" / "bad.tar", "w") as tar:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(f"{name}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        add(tar, "../../out.png", png(CHOSEN[0]))
        add(tar, "/abs.png", png(CHOSEN[0]))
        add(tar, "two.png", png(CHOSEN[0]))
        add(tar, "two.jpg", png(CHOSEN[0]))
        add(tar, "alone.cls", b"01")
        add(tar, "no.png", png(CHOSEN[0]))
        add(tar, "broken.png", png(CHOSEN[0]))
        add(tar, "broken.json", b"{")
        add(tar, "twice.png", png(CHOSEN[0]))
        add(tar, "twice.cls", label(CHOSEN[0]).encode())
        add(tar, "._twice.png", b"of macOS")
        add(tar, "between.png", png(CHOSEN[0]))
        add(tar, "twice.png", png(CHOSEN[0]))
    cut = (root / "train" / "000.tar").read_bytes()
    (root / "train" / "cut.tar").write_bytes(cut[: 512 + 60])  # within the first image
    (root / "train" / "packed.tar.gz").write_bytes(gzip.compress(cut))
    (root / "train" / "none.tar").write_bytes(b"\x01" * 2000)
    before = set(tmp_path.rglob("*"))
    data = run("webdataset", root, tmp_path / "p")
    reasons = {path.removeprefix("train/"): reason.partition(":")[0] for path, reason in data.quarantined()}
    assert reasons == {
        "bad.tar/link.png": "no file",
        "bad.tar/hard.png": "no file",
        "bad.tar/pipe.png": "no file",
        "bad.tar/../../out.png": "path leaves the folder",
        "bad.tar//abs.png": "path leaves the folder",
        "bad.tar/two": "several images",
        "bad.tar/alone": "no image",
        "bad.tar/no.png": "no label",
        "bad.tar/broken": "no label",
        "bad.tar/between.png": "no label",
        "bad.tar/twice": "two samples",
        "cut.tar": "truncated or no tar",
        "cut.tar/000000.png": "no label",
        "packed.tar.gz": "packed archive",
        "none.tar": "truncated or no tar",
    }
    assert {path for path in tmp_path.rglob("*") if tmp_path / "p" not in (path, path.parent)} == before


def test_splits_in_the_names_of_files_are_all_or_none(tmp_path: Path) -> None:
    root = as_tars(tmp_path / "raw")
    shutil.copy(root / "train" / "000.tar", root / "more.tar")
    with pytest.raises(UserError, match=r"'more\.tar' names none"):
        run("webdataset", root, tmp_path / "p")
    shutil.rmtree(root / "train")
    (root / "more.tar").unlink()
    with pytest.raises(UserError, match="no file has train in its name"):
        run("webdataset", root, tmp_path / "p")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train-images-idx3-ubyte", lambda data: data[:-1], "cut off"),
        ("train-images-idx3-ubyte", lambda data: data[:3] + b"\1" + data[4:], "in 1 dimensions"),
        ("train-images-idx3-ubyte", lambda data: data[:2] + b"\x0d" + data[3:], "type 0x0d"),
        ("train-images-idx3-ubyte", lambda data: b"PNG", "no file in IDX format"),
        ("train-labels-idx1-ubyte", lambda data: data[:4] + b"\0\0\0\1" + data[8:9], "images, .* 1 labels"),
        ("train-labels-idx1-ubyte", None, "its labels are missing"),
        ("classes.txt", lambda data: b"one\ntwo", "no name for the label '2'"),
        ("classes.txt", lambda data: b"one\ntwo\none", "'one' is there twice"),
        ("train-images-idx3-ubyte", lambda data: data[:4] + b"\xff" * 12 + data[16:], "are more than"),
    ],
)
def test_idx_files_that_are_wrong_are_told_in_one_sentence(
    name: str, change: Callable[[bytes], bytes] | None, message: str, tmp_path: Path
) -> None:
    root = as_idx(tmp_path / "raw", gz=False)
    if change is None:
        (root / name).unlink()
    else:
        (root / name).write_bytes(change((root / name).read_bytes()))
    with pytest.raises(UserError, match=message):
        run("idx", root, tmp_path / "p")
