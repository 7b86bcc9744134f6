"""Images that stay in tars at an address: the same images, splits and batches as packed, fetched when they are decoded."""

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from imports import ROOT
from pictures import picture

from neocog.core.errors import NeocogError, UserError
from neocog.data.decoding import referenced, remote
from neocog.data.loader import Batches
from neocog.data.prepare import prepare
from neocog.data.prepared import Prepared, read
from neocog.params.sections.data import Data

HOW = {"source": "webdataset", "size": 24, "val_fraction": 0.2, "test_fraction": 0.2, "workers": 1}


def tars(folder: Path, *, shards: int = 3, images: int = 24) -> list[Path]:
    """JPEGs in two classes, and one file that is none."""
    folder.mkdir(parents=True)
    for shard in range(shards):
        with tarfile.open(folder / f"part-{shard:03}.tar", "w") as tar:
            for i in range(images):
                file = io.BytesIO()
                picture(shard * 100 + i, width=60, height=40).save(file, "JPEG")
                for suffix, content in (("jpg", file.getvalue()), ("cls", b"class%d" % (i % 2))):
                    member = tarfile.TarInfo(f"{i:04}.{suffix}")
                    member.size = len(content if (shard, i) != (1, 3) or suffix == "cls" else content[:100])
                    tar.addfile(member, io.BytesIO(content))
    return sorted(folder.glob("*.tar"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data.root that names tars elsewhere."""
    monkeypatch.chdir(tmp_path)
    tars(tmp_path / "elsewhere")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "shards.txt").write_text(f"# all of them\n\nfile://{tmp_path}/elsewhere/part-*.tar\n")
    return tmp_path / "raw"


@pytest.fixture
def data(root: Path) -> Prepared:
    return prepare(root.parent / "referenced", root=root, store="referenced", **HOW)


def test_they_are_the_packed_ones_and_lie_on_no_disk_of_this_machine(root: Path, data: Prepared) -> None:
    packed = prepare(root.parent / "packed", root=root, **HOW)
    assert (data.store, packed.store) == ("referenced", "packed")
    assert {path.name for path in data.folder.iterdir()} == {
        "ranges.npy",
        "files.json",
        "samples.parquet",
        "dataset.json",
        "quarantine.csv",
    }
    for told in ("classes", "counts", "mean", "std", "size", "channels", "source_digest"):
        assert getattr(data, told) == getattr(packed, told)
    assert [path for path, _ in data.quarantined()] == [f"file://{root.parent}/elsewhere/part-001.tar/0003.jpg"]
    for split in packed.counts:
        one, other = packed.split(split), data.split(split)
        assert np.array_equal(one.images, np.asarray(other.images)) and np.array_equal(one.targets, other.targets)
    wanted, found = (Batches(each.split("train"), 8, shuffle=True, seed=1) for each in (packed, data))
    for (images, targets), (others, also) in zip(wanted, found, strict=True):
        assert torch.equal(images, others) and torch.equal(targets, also)
    val = pickle.loads(pickle.dumps(data.split("val").images))
    assert np.array_equal(val[:], packed.split("val").images)


@pytest.mark.parametrize("gigabytes", ["0", "0.00002", "1"])
def test_no_more_is_kept_than_was_asked_for_and_none_of_it_is_fetched_twice(
    data: Prepared, gigabytes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEOCOG_CACHE_GB", gigabytes)
    asked: list[int] = []

    def counted(address: str, start: int, stop: int) -> bytes:
        asked.append(stop - start)
        return whole(address, start, stop)

    whole = remote.read
    monkeypatch.setattr(referenced.remote, "read", counted)
    images = data.split("train").images
    first = images[:]
    size, total = sum(asked), len(asked)
    asked.clear()
    assert np.array_equal(images[:], first)
    kept = sum(path.stat().st_size for path in Path(".neocog/images").rglob("images"))
    assert kept <= float(gigabytes) * 1e9
    assert (len(asked) == total, len(asked) == 0) == {"0": (True, False), "1": (False, True)}.get(
        gigabytes, (False, False)
    )
    assert size - sum(asked) == kept
    again = read(data.folder).split("train").images  # as another process opens it
    assert np.array_equal(again[:], first)


def test_a_network_that_fails_is_told_and_the_same_goes_on(data: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(data.split("train"), 8, shuffle=True, seed=1)
    wanted = [images for images, _ in batches]
    monkeypatch.setenv("NEOCOG_CACHE_GB", "0")
    batches = Batches(read(data.folder).split("train"), 8, shuffle=True, seed=1)
    files, calls = remote._opened("file"), []
    whole = files.cat_file

    def fails(path: str, **how: object) -> bytes:
        calls.append(path)
        if len(calls) > 20:
            raise ConnectionError("Could not connect to the endpoint URL")
        return bytes(whole(path, **how))

    monkeypatch.setattr(files, "cat_file", fails)
    with pytest.raises(NeocogError, match=r"part-\d+\.tar: cannot be reached \(Could not connect .*run the same again"):
        list(batches)
    monkeypatch.setattr(files, "cat_file", whole)
    assert all(torch.equal(images, one) for (images, _), one in zip(batches, wanted, strict=True))


def test_what_is_gone_replaced_denied_or_near_is_told(
    root: Path, data: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEOCOG_CACHE_GB", "0")
    (tar,) = (root.parent / "elsewhere").glob("part-000.tar")
    content = tar.read_bytes()
    tar.write_bytes(content + b"\0" * 512)
    with pytest.raises(UserError, match=r"part-000\.tar: was replaced after `prepare` read it; run `dvc repro prepare"):
        data.split("train").images[:]
    tar.unlink()
    with pytest.raises(UserError, match=r"part-000\.tar: no such file or bucket .*; mend the address"):
        data.split("train").images[:]
    tar.write_bytes(content)
    monkeypatch.setattr(
        remote._opened("file"), "cat_file", lambda *_, **__: (_ for _ in ()).throw(PermissionError("Forbidden"))
    )
    with pytest.raises(UserError, match=r"access is denied \(Forbidden\); check the credentials"):
        data.split("train").images[:]
    monkeypatch.setenv("NEOCOG_CACHE_GB", "much")
    with pytest.raises(UserError, match=r"NEOCOG_CACHE_GB \(='much'\) is no number of gigabytes"):
        data.split("train").images[:]
    for lines, why in (
        ("file:///nowhere/*.tar", "no file is there"),
        ("part-000.tar", r"line 1: 'part-000\.tar' is no address of a \.tar"),
        ("nothing://bucket/a.tar", "nothing://"),
        (f"file://{tar}\nfile://{tar}", "is there twice"),
    ):
        (root / "shards.txt").write_text(lines)
        with pytest.raises(UserError, match=why):
            prepare(root.parent / "other", root=root, store="referenced", **HOW)
    with pytest.raises(UserError, match="lies on this machine; name the addresses of tars"):
        prepare(root.parent / "other", root=root.parent / "elsewhere", store="referenced", **HOW)
    with pytest.raises(UserError, match="the images of digits lie at no address"):
        prepare(root.parent / "other", source="digits", store="referenced")
    with pytest.raises(ValueError, match=r"root \(='s3://bucket/photos'\) is an address; name its tars in a file"):
        Data(source="webdataset", root="s3://bucket/photos")


PREPARE = """
import sys
from neocog.core.errors import run
from neocog.data.prepare import prepare

def make(store):
    prepare(store, root="raw", store=store, source="webdataset", size=24, val_fraction=0.2, test_fraction=0.2, workers=1)

run(make, sys.argv[1:])
"""
EPOCH = """
from neocog.core.errors import run
from neocog.data.loader import Batches
from neocog.data.prepared import read

def epoch():
    total = [0, 0]
    for number, (images, _) in enumerate(Batches(read("referenced").split("train"), 8, shuffle=True, seed=1)):
        total[0] += int(images.sum()) * (number + 1)
        total[1] += len(images)
    print(*total)

run(epoch, [])
"""


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A local server of S3 with tars in it, and a project that names them."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("NEOCOG_CACHE_GB", "0.00002"),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="photos")
    for tar in tars(tmp_path / "tars"):
        client.upload_file(str(tar), "photos", f"v1/{tar.name}")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "shards.txt").write_text("s3://photos/v1/*.tar\n")
    yield tmp_path
    server.stop()


def ends(folder: Path, code: str, *arguments: str) -> tuple[int, str]:
    """The exit code of `code` in `folder`, and what it said last."""
    own = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=own, capture_output=True, text=True, check=False
    )
    return ended.returncode, (ended.stdout + ended.stderr).strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(not (find_spec("moto") and find_spec("s3fs")), reason="pip install 'moto[server]' s3fs boto3")
def test_a_bucket_of_s3_is_prepared_and_read_without_a_copy(bucket: Path) -> None:
    import boto3

    code, said = ends(bucket, PREPARE, "referenced")
    assert code == 0, said
    code, said = ends(bucket, PREPARE, "packed")
    assert code == 0, said
    files = json.loads((bucket / "referenced" / "files.json").read_text())
    assert [each["address"] for each in files] == [f"s3://photos/v1/part-{i:03}.tar" for i in range(3)]
    assert all(each["version"] for each in files)
    code, told = ends(bucket, EPOCH)
    assert code == 0, told
    total = 0
    for number, (images, _) in enumerate(Batches(read(bucket / "packed").split("train"), 8, shuffle=True, seed=1)):
        total += int(images.sum()) * (number + 1)
    assert int(told.split()[0]) == total
    assert sum(path.stat().st_size for path in (bucket / ".neocog/images").rglob("images")) <= 20_000
    client = boto3.client("s3")
    client.put_object(Bucket="photos", Key="v1/part-000.tar", Body=b"another")
    code, told = ends(bucket, EPOCH)
    assert code == 2 and "s3://photos/v1/part-000.tar: was replaced after `prepare` read it" in told
    client.delete_object(Bucket="photos", Key="v1/part-000.tar")
    code, told = ends(bucket, EPOCH)
    assert code == 2 and "s3://photos/v1/part-000.tar: no such file or bucket" in told
