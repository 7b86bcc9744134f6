"""Every benchmark runs: its help teaches, and a trial run on digits ends well in an empty folder."""

import importlib
import os
import pkgutil
import subprocess
import sys

import pytest
from imports import ROOT

import benchmarks

NAMES = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
AT_LEAST = {"compression", "kills", "planted", "prepare", "serving", "training", "tuning"}
ELSEWHERE = {"kills"}  # tests/test_kills.py runs it, for minutes
SECONDS = ("planted", "prepare")  # take no longer, the others import torch or start servers


def run(name: str, *arguments: str, folder):
    """How `python -m benchmarks.<name> <arguments>` ends in `folder`."""
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_none_is_missed():
    found = {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")}
    assert set(NAMES) == found >= AT_LEAST


@pytest.mark.parametrize("name", NAMES)
def test_its_help_says_what_is_measured_and_how_long_that_takes(name, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{name}").main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"usage: python -m benchmarks.{name}" in said and "--tiny" in said
    assert f"    python -m benchmarks.{name}" in said.replace("make edge && ", ""), "an example"
    assert any(word in said for word in ("seconds  ", "second", "minute", "hour")), "how long"


@pytest.mark.parametrize(
    "name",
    [
        name if name in SECONDS else pytest.param(name, marks=pytest.mark.slow)
        for name in NAMES
        if name not in ELSEWHERE
    ],
)
def test_a_tiny_run_ends_well_and_leaves_nothing_but_what_was_asked_for(name, tmp_path):
    ended = run(name, "--tiny", folder=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.strip(), "it prints what it measured"
    left = [path.name for path in tmp_path.iterdir()]
    assert left == (["data"] if name == "planted" else []), left


def test_what_cannot_run_says_so(tmp_path):
    ended = run("planted", str(tmp_path), "--tiny", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "is there already" in ended.stderr and "Traceback" not in ended.stderr
