"""Stages run as `dvc repro` runs them, in a project of their own on digits, and what MLflow holds of them."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from imports import ROOT
from mlflow import MlflowClient


def set_up(folder: Path, **sections: Any) -> Path:
    """A project whose params.yaml has these `sections` in place of its own."""
    folder.mkdir()
    shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", folder)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"]["source"] = "digits"
    params["robustness"]["baseline"] = None  # the architectures may be others
    (folder / "params.yaml").write_text(yaml.safe_dump(params | sections, sort_keys=False))
    return folder


def stage(folder: Path, *arguments: str, wait: bool = True):
    """What `python -m <arguments>` says in `folder`; the process itself without `wait`.

    Those waited for run as under one `dvc repro`: the first leaves what the others need not import again.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    if wait:
        environment["DVC_STAGE"] = ".".join(arguments)
    started = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if not wait:
        return started
    try:
        said, _ = started.communicate(timeout=400)
    except subprocess.TimeoutExpired:
        started.kill()
        raise
    assert started.returncode == 0, said
    return said


KILLED = """
import os, runpy, signal, sys
from neocog.training import checkpoint

whole = checkpoint.write

def write(target, content):
    whole(target, content)
    if eval(when):
        os.kill(os.getpid(), signal.SIGKILL)

when, script, *sys.argv[1:] = sys.argv[1:]
checkpoint.write = write
runpy.run_module(script, run_name="__main__", alter_sys=True)
"""


def killed(folder: Path, *arguments: str, when: str) -> None:
    """`python -m <arguments>` in `folder`, killed from inside at the first checkpoint `target` of which `when` is true."""
    command = [sys.executable, "-c", KILLED, when, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr


def runs(folder: Path, *, of: str) -> list:
    """The runs whose name begins with `of`."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("neocog").experiment_id
    return [run for run in client.search_runs([experiment], max_results=1000) if run.info.run_name.startswith(of)]
