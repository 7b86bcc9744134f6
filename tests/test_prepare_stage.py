"""The stage `prepare`: one command, one data set, one run in MLflow; refused input leaves neither, nor does a folder in use."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from pictures import class_folders

from neocog.core.atomic import staged
from neocog.core.errors import Busy, UserError
from neocog.data.prepare import prepare
from neocog.data.prepared import read

HERE = Path(__file__).parent.parent


def stage(folder: Path, **data: object) -> subprocess.CompletedProcess[str]:
    """Run `python -m pipelines.prepare` in a project of its own, with the data settings `data`."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(HERE / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["data"] |= data
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(
        [sys.executable, "-m", "pipelines.prepare"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_folder_with_bad_files_ends_as_data_set_table_and_run(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "images")
    (root / "class1" / "bad.jpg").write_bytes(b"<html>")
    done = stage(tmp_path, source="folder", root="images", size=16)
    assert done.returncode == 0, done.stderr
    data = read(tmp_path / "data" / "prepared")
    assert "quarantined: 1 (not an image 1); see quarantine.csv" in done.stdout
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        assert store.execute("select name, status from runs").fetchall() == [("prepare", "FINISHED")]
        metrics = dict(store.execute("select key, value from metrics").fetchall())
        tags = dict(store.execute("select key, value from tags").fetchall())
        params = dict(store.execute("select key, value from params").fetchall())
    assert metrics["prepare/train"] == data.num_images("train")
    assert metrics["prepare/quarantined"] == 1
    assert tags["data.digest"] == data.digest
    assert params["data.source"] == "folder"
    artifacts = {path.name for path in (tmp_path / "mlartifacts").rglob("*") if path.is_file()}
    assert {"dataset.json", "quarantine.csv"} <= artifacts


def test_refused_input_leaves_nothing_behind(tmp_path: Path) -> None:
    done = stage(tmp_path, source="folder", root="images")
    assert done.returncode == 2
    assert done.stderr.startswith("neocog: data.root (='images') does not exist")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "data").exists()


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write everywhere: within the block, this process is somebody else."""
    if root := os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    prepare(tmp_path / "control", source="folder", root=root, size=8, workers=1)  # whatever is imported late, is by now
    with tempfile.TemporaryDirectory() as name:  # outside pytest's own folder, which is its owner's alone
        place = Path(name)
        shutil.copytree(root, place / "raw")
        (place / "data").mkdir()
        (place / "data").chmod(0o555)
        place.chmod(0o755)
        with pytest.raises(UserError, match=rf"{place}/data.*: Permission denied; make it writable"), unprivileged():
            prepare(place / "data" / "prepared", source="folder", root=place / "raw", size=8, workers=1)
        assert list((place / "data").iterdir()) == []


def test_a_writer_whose_folder_was_moved_away_before_it_held_the_lock_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def late(*arguments: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        with staged(tmp_path / "p") as stage:  # another process, from beginning to end
            (stage / "mine").write_text("first")
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(Busy, match="another process has just written it"), staged(tmp_path / "p"):
        pytest.fail("it holds the lock of what is in place by now")
    assert [path.name for path in tmp_path.rglob("*")] == ["p", "mine"]
    with staged(tmp_path / "p") as stage:  # the control: the same again
        (stage / "mine").write_text("second")
    assert (tmp_path / "p" / "mine").read_text() == "second"
