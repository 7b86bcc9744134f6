"""A stage ends with its `dvc repro`, whatever shell DVC starts it through."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

STAGE = "import time; from neocog.core.errors import run; run(lambda: (print('at work', flush=True), time.sleep(60)))"
DVC = """
import subprocess, sys
stage = subprocess.Popen([sys.argv[1], "-c", sys.argv[2]], stdout=subprocess.PIPE, text=True)
print("at work" in stage.stdout.readline(), stage.pid, flush=True)
stage.wait()
"""


@pytest.mark.parametrize("stays", [False, True], ids=["the shell becomes the stage", "the shell stays between"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_stage_ends_with_the_dvc_that_started_it(shell, stays, tmp_path: Path):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    (tmp_path / "dvc.py").write_text(DVC)
    (tmp_path / "stage.py").write_text(STAGE)
    command = f"{sys.executable} {tmp_path / 'stage.py'}" + ("; true" if stays else "")
    dvc = subprocess.Popen(
        [sys.executable, tmp_path / "dvc.py", shell, command],
        env={**os.environ, "DVC_STAGE": "train@resnet"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert dvc.stdout is not None
    ready, pid = dvc.stdout.readline().split()
    assert ready == "True"
    stage = psutil.Process(int(pid))
    at_work = [stage, *stage.children()]
    time.sleep(0.7)
    assert all(each.is_running() for each in at_work), "it lives as long as its dvc"
    dvc.send_signal(signal.SIGKILL)
    dvc.wait()
    _, alive = psutil.wait_procs(at_work, timeout=10)
    assert not alive
