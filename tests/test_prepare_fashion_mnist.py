"""Fashion-MNIST is taken from wherever it is, believed only if its bytes are right, and every way out is named."""

import gzip
import hashlib
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pictures import class_folders

from neocog.core.errors import UserError
from neocog.data.prepare import prepare
from neocog.data.sources import fashion_mnist as fm

REAL = [folder for folder in (Path("data/raw"), Path("data/raw/.fashion-mnist"), fm.DEBIAN) if folder.is_dir()]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Four files in the form of Fashion-MNIST, 600 + 100 images; taken for the right ones, and found nowhere yet."""
    rng = np.random.default_rng(0)
    made = {}
    for prefix, count in (("train", 600), ("t10k", 100)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count) % 10
        shape = b"".join(n.to_bytes(4, "big") for n in images.shape)
        made[f"{prefix}-images-idx3-ubyte"] = b"\0\0\x08\x03" + shape + images.tobytes()
        made[f"{prefix}-labels-idx1-ubyte"] = b"\0\0\x08\x01" + shape[:4] + labels.astype(np.uint8).tobytes()
    monkeypatch.setattr(fm, "SHA256", {name: hashlib.sha256(data).hexdigest() for name, data in made.items()})
    monkeypatch.setattr(fm, "DEBIAN", tmp_path / "usr" / "share")
    monkeypatch.setattr(fm, "_mirrors", list)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return made


def put(files: dict[str, bytes], folder: Path, *, packed: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data, 1) if packed else data)
    return folder


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a server on this machine offers as the only mirror."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Quiet(*a, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(fm, "_mirrors", lambda: [f"http://127.0.0.1:{server.server_port}/"])
    yield folder
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["", ".fashion-mnist", "fashion-mnist", "FashionMNIST/raw"])
def test_files_in_the_root_are_taken(files: dict[str, bytes], tmp_path: Path, place: str, packed: bool) -> None:
    put(files, tmp_path / "raw" / place, packed=packed)
    assert fm.find(tmp_path / "raw") == files


def test_files_of_the_debian_package_are_taken(files: dict[str, bytes], tmp_path: Path) -> None:
    put(files, fm.DEBIAN)
    assert fm.find(tmp_path / "raw") == files
    assert not (tmp_path / "raw").exists()


def test_files_of_a_mirror_are_taken_and_kept(files: dict[str, bytes], tmp_path: Path, mirror: Path) -> None:
    put(files, mirror)
    assert fm.find(tmp_path / "raw") == files
    shutil.rmtree(mirror)
    assert fm.find(tmp_path / "raw") == files
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [".fashion-mnist"]


def test_what_was_downloaded_is_no_class_among_your_own_images(
    files: dict[str, bytes], tmp_path: Path, mirror: Path
) -> None:
    put(files, mirror)
    fm.find(tmp_path / "raw")
    class_folders(tmp_path / "raw")
    data = prepare(tmp_path / "p", source="folder", root=tmp_path / "raw", size=8, workers=1)
    assert data.classes == ("class0", "class1")
    assert data.quarantined() == []


def test_only_what_killed_runs_left_long_ago_is_cleared_away(
    files: dict[str, bytes], tmp_path: Path, mirror: Path
) -> None:
    put(files, mirror)
    for name in (".fetch-young", ".fetch-old"):
        (tmp_path / "raw" / name).mkdir(parents=True)
    os.utime(tmp_path / "raw" / ".fetch-old", (time.time() - 3700,) * 2)
    fm.find(tmp_path / "raw")
    assert {path.name for path in (tmp_path / "raw").iterdir()} == {".fashion-mnist", ".fetch-young"}


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_files_of_apt_get_download_are_taken_and_kept(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    put(files, package / fm.DEBIAN.relative_to("/"))
    (package / "DEBIAN").mkdir()
    control = f"Package: {fm.PACKAGE}\nVersion: 1\nArchitecture: all\nMaintainer: a b <a@b.c>\nDescription: x\n"
    (package / "DEBIAN" / "control").write_text(control)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    subprocess.run(["dpkg-deb", "-b", package, tmp_path / "x.deb"], check=True, capture_output=True)
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.write_text(f'#!/bin/sh\ncase "$*" in *"download {fm.PACKAGE}") cp {tmp_path}/x.deb . ;; *) exit 9 ;; esac\n')
    apt.chmod(0o755)
    assert fm.find(tmp_path / "raw") == files
    apt.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    assert fm.find(tmp_path / "raw") == files
    shutil.rmtree(tmp_path / "raw")
    with pytest.raises(UserError, match="E: Unable to locate package"):
        fm.find(tmp_path / "raw")


@pytest.mark.parametrize("spoil", ["change", "cut", "swap", "plain"])
def test_wrong_bytes_are_named_and_the_next_way_is_tried(
    files: dict[str, bytes], tmp_path: Path, mirror: Path, spoil: str, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = put(files, tmp_path / "raw")
    bad = raw / "train-labels-idx1-ubyte.gz"
    labels = files["train-labels-idx1-ubyte"]
    if spoil == "change":
        bad.write_bytes(gzip.compress(labels[:-1] + b"\x05"))
    elif spoil == "cut":
        bad.write_bytes(bad.read_bytes()[:-20])
    elif spoil == "swap":
        shutil.copy(raw / "t10k-labels-idx1-ubyte.gz", bad)
    else:
        bad.write_bytes(b"<html>moved</html>")
    with pytest.raises(UserError) as refused:
        fm.find(raw)
    assert str(bad) in str(refused.value)
    put(files, mirror)
    capsys.readouterr()
    assert fm.find(raw) == files
    assert str(bad) in capsys.readouterr().err


def test_a_mirror_with_wrong_bytes_is_not_kept(files: dict[str, bytes], tmp_path: Path, mirror: Path) -> None:
    put({name: data[:-1] + b"\xee" for name, data in files.items()}, mirror)
    with pytest.raises(UserError, match=r"torchvision's mirrors: .*train-images-idx3-ubyte.gz holds wrong bytes"):
        fm.find(tmp_path / "raw")
    assert list((tmp_path / "raw").iterdir()) == []


def test_when_no_way_works_one_message_names_them_all(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        prepare(tmp_path / "p", source="fashion_mnist", root=tmp_path / "raw")
    message = str(refused.value)
    for part in ("data.source (='fashion_mnist')", "data.root (=", "Debian's package", "mirrors", "apt-get download"):
        assert part in message
    assert "Ways out: put train-images-idx3-ubyte.gz, " in message
    assert "data.source: digits" in message
    assert not (tmp_path / "p").exists()


def test_a_server_that_never_answers_costs_seconds(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fm, "_REACH", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(fm, "_mirrors", lambda: [f"http://127.0.0.1:{silent.getsockname()[1]}/"])
        start = time.monotonic()
        with pytest.raises(UserError, match=r"mirrors: .*(timed out|no answer)"):
            fm.find(tmp_path / "raw")
    assert time.monotonic() - start < 3


def test_validation_comes_out_of_the_training_images(files: dict[str, bytes], tmp_path: Path) -> None:
    put(files, tmp_path / "raw")
    data = prepare(tmp_path / "p", source="fashion_mnist", root=tmp_path / "raw", val_fraction=0.2)
    assert data.classes == fm.CLASSES
    assert (data.size, data.channels, data.num_images("test")) == ((28, 28), 1, 100)
    assert data.num_images("train") + data.num_images("val") == 600
    assert data.num_images("val") == pytest.approx(120, abs=45)
    test = {row["source"]: i for i, row in enumerate(data.samples("test").to_pylist())}
    raw = np.frombuffer(files["t10k-images-idx3-ubyte"], np.uint8, offset=16).reshape(-1, 28, 28, 1)
    order = [test[f"test/{i}"] for i in range(100)]
    assert (data.split("test").images[order] == raw).all()
    assert (data.split("test").targets[order] == np.arange(100) % 10).all()


def test_size_and_channels_can_be_chosen(files: dict[str, bytes], tmp_path: Path) -> None:
    put(files, tmp_path / "raw")
    data = prepare(tmp_path / "p", source="fashion_mnist", root=tmp_path / "raw", size=12, channels=3)
    images = data.split("train").images
    assert images.shape[1:] == (12, 12, 3)
    assert (images[..., :1] == images).all()


@pytest.mark.slow
def test_torchvision_still_names_the_four_files() -> None:
    from torchvision.datasets import FashionMNIST

    assert {file for file, _ in FashionMNIST.resources} == {f"{name}.gz" for name in fm.SHA256}
    assert all(mirror.endswith("/") for mirror in fm._mirrors())


@pytest.mark.skipif(not REAL, reason="Fashion-MNIST is not on this machine")
def test_the_real_files_hold_what_the_paper_says(tmp_path: Path) -> None:
    try:
        fm._in_folders(*REAL)
    except fm.WayClosedError as error:
        pytest.skip(str(error))
    data = prepare(tmp_path / "p", source="fashion_mnist", root="data/raw")
    assert data.counts["test"] == dict.fromkeys(fm.CLASSES, 1000)
    assert data.num_images("train") + data.num_images("val") == 60_000
    assert data.quarantined() == []  # no image of it is there twice
    assert data.notes == ()
