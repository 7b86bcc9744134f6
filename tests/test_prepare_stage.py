"""The stage `prepare`: one command, one data set, one run in MLflow; refused input leaves neither."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pictures import class_folders

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
