"""`make test` runs both halves whatever the first comes to, gives one verdict, says how long each took, and misses no test."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT

PYTHON = """#!/bin/sh
echo "$@" >> ran
case "$*" in *"not slow"*) exit FAST ;; *) exit SLOW ;; esac
"""


@pytest.mark.parametrize(("fast", "slow"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_both_halves_run_and_either_may_fail_the_whole(tmp_path: Path, fast: int, slow: int) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    program = tmp_path / ".venv/bin/python"
    program.parent.mkdir(parents=True)
    program.write_text(PYTHON.replace("FAST", str(fast)).replace("SLOW", str(slow)))
    program.chmod(0o755)
    for name in ("requirements.lock", "pyproject.toml", ".venv/.locked"):
        (tmp_path / name).touch()
    ended = subprocess.run(["make", "test"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode == 0) == (fast == slow == 0)
    assert [("not slow" in line) for line in (tmp_path / "ran").read_text().splitlines()] == [True, False]
    words = ("passed", "failed")
    assert re.search(rf"fast tests: {words[fast]} in \d+ s; slow tests: {words[slow]} in \d+ s", ended.stdout)


@pytest.mark.parametrize("half", ["slow", "not slow"])
def test_a_slow_test_is_collected_by_the_slow_half_and_files_without_one_are_not_imported(
    tmp_path: Path, half: str
) -> None:
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_quick.py").write_text("print('imported quick')\ndef test_quick(): pass\n")
    (tmp_path / "test_long.py").write_text(
        "import pytest\n@pytest.mark.slow\ndef test_long(): pass\ndef test_short(): pass\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-qs",
        "-m",
        half,
        "-p",
        "no:cacheprovider",
        str(tmp_path),
    ]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert set(re.findall(r"::test_(\w+)", said)) == ({"long"} if half == "slow" else {"quick", "short"})
    assert ("imported quick" in said) == (half == "not slow")


STUB = """#!/bin/sh
echo "$(basename "$0") $@" >> "$RAN"
case "$*" in *init*) mkdir -p "$2"; touch "$2/dvc.yaml" ;; *fetch.py*) mkdir -p "$2" ;; esac
"""


def test_the_example_of_photographs_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """The clone's programs are stand-ins: what is called, in which order, in a project whose name has a space."""
    (tmp_path / "examples").mkdir()
    shutil.copytree(ROOT / "examples/photographs", tmp_path / "examples/photographs")
    (tmp_path / "Makefile").write_text("env:\n\t@echo environment >> $(RAN)\n")
    for name in ("uv", "neocog", "python"):
        program = tmp_path / ".venv/bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(STUB)
        program.chmod(0o755)
    command = ["make", "-C", str(tmp_path / "examples/photographs"), "PROJECT=../../my project"]

    def called() -> list[str]:
        ran = tmp_path / "ran"
        ran.unlink(missing_ok=True)
        subprocess.run(command, env=os.environ | {"RAN": str(ran)}, capture_output=True, check=True)
        return [" ".join(line.split()[:2]) for line in ran.read_text().splitlines()]

    assert called() == ["environment", "uv pip", "neocog init", "python fetch.py", "neocog repro"]
    assert (tmp_path / "my project/params.yaml").is_file()
    assert called() == ["environment", "uv pip", "neocog repro"]
    pinned = re.search(r"^WEIGHTS := (\S+)$", (ROOT / "examples/photographs/Makefile").read_text(), re.MULTILINE)
    assert pinned and f'"{pinned[1]}"' in (ROOT / "pyproject.toml").read_text()
