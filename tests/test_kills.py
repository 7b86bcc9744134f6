"""The whole pipeline is ended at random moments, by every means, and comes out as if nobody had: `benchmarks.kills`, in minutes."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from clones import environment
from imports import ROOT

from benchmarks import kills
from benchmarks._watched_project import LATE


@pytest.mark.slow
def test_whatever_ends_make_repro_the_same_command_brings_it_to_the_same_end(tmp_path):
    command = [sys.executable, "-m", "benchmarks.kills", "--tiny", "--folder", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env=environment(ROOT), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "6 kills" in ended.stdout and "0 faults" in ended.stdout
    assert set(re.findall(r"into (\w+), in", ended.stdout)) & set(LATE), "some of them in a stage that is soon over"
    assert not re.search(r"cut off: repro \d+$", ended.stdout, re.MULTILINE)


def test_the_campaign_sees_what_was_lost_or_doubled(tmp_path):
    """The control."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("neocog")
    for status in ("FINISHED", "KILLED"):
        run = client.create_run(experiment, run_name="train@mlp").info.run_id
        for at in (1, 2):
            client.log_metric(run, "val/top1", 0.5, timestamp=at, step=1)
        client.set_terminated(run, status=status)
    expected = {"models/trained/mlp": "0" * 64}, {"train@mlp": [("val/top1", 1), ("val/top1", 2)]}, []
    found = kills.differences(SimpleNamespace(folder=tmp_path), expected)
    for part in ("is there twice", "is KILLED", "there 2 times", "other bits", "rows lost or strange"):
        assert any(part in fault for fault in found), part
