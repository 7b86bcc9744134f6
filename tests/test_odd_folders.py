"""A project in a folder of any name: MLflow's store, its artifacts and its migrations."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT

ODD = "50% 'done' & x#y?$HOME; grün"
LOG = """
import sys
from pathlib import Path
from neocog.tracking import store
if sys.argv[1:]:
    store._allow_percent = lambda: None
with store.Store("sqlite:///mlflow.db", Path.cwd()).open(10) as opened:
    client = opened.client
    run = client.create_run(opened.experiment("neocog"))
    Path("x.txt").write_text("x")
    client.log_artifact(run.info.run_id, "x.txt")
    print(Path(client.download_artifacts(run.info.run_id, "x.txt")).read_text())
"""


@pytest.mark.slow
def test_mlflow_keeps_runs_and_artifacts_in_a_folder_of_any_name(tmp_path: Path) -> None:
    home = tmp_path / ODD
    home.mkdir()
    (home / ".venv").symlink_to(sys.prefix)
    own = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [home / ".venv/bin/python", "-c", LOG]
    plain = subprocess.run([*command, "plain"], cwd=home, env=own, capture_output=True, text=True, check=False)
    assert "interpolation" in plain.stderr, "the control: MLflow alone fails there"
    ended = subprocess.run(command, cwd=home, env=own, capture_output=True, text=True, check=False)
    assert ended.stdout == "x\n", ended.stderr
    assert (home / "mlflow.db").is_file() and list((home / "mlartifacts").rglob("x.txt"))
