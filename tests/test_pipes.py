"""A reader may leave: verbs end quietly, stages finish their work; what goes to no terminal comes in whole lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT

# Runs `cli.main` for each line of stdin in a fork whose stdout (and with "both" stderr) nobody reads: the imports are paid once.
FORKS = """
import os, sys, tempfile
from neocog.cli import main as cli

for line in sys.stdin.read().splitlines():
    read, write = os.pipe()
    said = tempfile.TemporaryFile("w+")
    if not (child := os.fork()):
        os.close(read)
        os.dup2(write, 1)
        os.dup2(said.fileno(), 2)
        cli.main(line.split())
        sys.exit(0)
    os.close(read)
    os.close(write)
    ending = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said.seek(0)
    print(ending, repr(line), repr(said.read()))
"""
STAGE = """
import sys
from pathlib import Path
from neocog.core.errors import UserError, run

def stage():
    for number in range(20_000):
        print("a line of progress", number, flush=number % 1000 == 0)
        print("another", number, file=sys.stderr)
    Path("finished").touch()
    if len(sys.argv) > 1:
        raise UserError("the data are wrong")

run(stage)
"""


def unread(command: list[str], folder: Path, *, stderr: int | None = None, close: bool = True) -> tuple[int, str]:
    """The exit code of a process whose stdout nobody reads, and what it says on stderr; a reader that stays without `close`."""
    read, write = os.pipe()
    with os.fdopen(read) as reader:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        started = subprocess.Popen(
            command, stdout=write, stderr=write if stderr else subprocess.PIPE, cwd=folder, env=environment, text=True
        )
        os.close(write)
        if close:
            reader.close()
        said = started.communicate(timeout=300)[1] or ""
        return started.returncode, said


def test_every_verb_ends_quietly_when_nobody_reads_it():
    listed = subprocess.run(
        [sys.executable, "-m", "neocog.cli.main", "--help"], capture_output=True, text=True, check=True
    ).stdout
    verbs = [line.split()[0] for line in listed.splitlines() if line.startswith("    ") and line[4] not in " "]
    assert {"models", "shapes", "predict", "serve", "reproduce"} <= set(verbs) and len(verbs) >= 11
    lines = ["--help", "--version", "models", "models resnet", "shapes lenet", *(f"{verb} --help" for verb in verbs)]
    done = subprocess.run(
        [sys.executable, "-c", FORKS], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"0 {line!r} ''" for line in lines]


def test_an_error_is_still_one():
    done = subprocess.run(
        [sys.executable, "-c", FORKS], input="models nosuch", capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("2 'models nosuch' 'neocog: architectures.nosuch: there is no such architecture")


def test_a_plain_print_would_complain(tmp_path):
    code, said = unread([sys.executable, "-c", "print('x' * 100)"], tmp_path)
    assert code and "BrokenPipeError" in said


@pytest.mark.parametrize("both", [False, True])
def test_a_stage_goes_on_unheard(both, tmp_path):
    code, said = unread([sys.executable, "-c", STAGE], tmp_path, stderr=both or None)
    assert (code, (tmp_path / "finished").exists()) == (0, True)
    assert "Error" not in said
    assert unread([sys.executable, "-c", STAGE, "wrong"], tmp_path, stderr=both or None)[0] == 2


def test_another_pipe_that_breaks_is_an_error(tmp_path):
    broken = "from neocog.core import errors\ndef main():\n    raise BrokenPipeError('of a worker')\nerrors.run(main{})"
    for how in ("", ", unread='ends'"):
        code, said = unread([sys.executable, "-c", broken.format(how)], tmp_path, close=False)
        assert code == 1 and "BrokenPipeError: of a worker" in said


def test_prepare_finishes_though_nobody_reads_it(project):
    code, _ = unread([sys.executable, "-m", "pipelines.prepare"], project, stderr=1)
    assert code == 0 and (project / "data/prepared/dataset.json").exists()


def test_a_table_in_a_pipe_is_never_cut(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "40")
    command = [sys.executable, "-m", "neocog.cli.main", "shapes", "resnet"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.splitlines()
    head, rows = lines[1].split(), [line for line in lines if "Conv" in line]
    assert head[-2:] == ["MACs", "memory"] and len(rows) > 5
    assert not [line for line in lines if "..." in line or "…" in line] and all(row.endswith("B") for row in rows)
