"""Under one runner of stages, a stage that asks for it runs in a fork of the first, and is to all what a process of its own would be."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from imports import ROOT

STAGE = """
import os, sys, time
from pathlib import Path
from neocog.core.errors import UserError
from neocog.orchestration.forked_stage import run

def work(what, *rest):
    imported = "late" if "fractions" in sys.modules else "early"
    print(what, os.getpid(), imported, os.environ.get("NOTE", ""), Path.cwd().name, *rest, flush=True)
    if what == "refuse":
        raise UserError("no such thing")
    if what == "break":
        raise ValueError("a bug")
    time.sleep(60 if what == "wait" else 0)

if __name__ == "__main__":
    run(work, sys.argv[1:], imports=("fractions",))
"""
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="where there is no Linux, each stage is its own process"
)


class Runner:
    """A shell that runs stages one after the other in `folder`, as `dvc repro` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "stage.py").write_text(STAGE)
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(["sh"], cwd=folder, env=environment, text=True, **pipes)  # type: ignore[call-overload]

    def start(self, *arguments: str, set: str = "") -> list[str]:
        """Begin a stage. Its words: what it does, its process, whether it found its imports done, NOTE, its folder, the rest."""
        assert self.process.stdin is not None
        python = f"exec {sys.executable} -m stage {' '.join(arguments)}"
        self.process.stdin.write(
            f"{set} DVC_STAGE={arguments[0]} sh -c 'echo $$; {python}' </dev/null; echo ended $?\n"
        )
        self.process.stdin.flush()
        self.started = int(self.line())
        return self.line().split(" ")

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def run(self, *arguments: str, set: str = "") -> tuple[list[str], list[str]]:
        """A whole stage: the words of `start`, and all lines after them, of which the last is `ended <code>`."""
        words, lines = self.start(*arguments, set=set), [self.line()]
        while not lines[-1].startswith("ended"):
            lines.append(self.line())
        return words, lines


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path)
    yield runner
    runner.process.kill()
    runner.process.communicate()


def own(runner: Runner, words: list[str]) -> bool:
    """Whether what spoke is the process that was started."""
    return int(words[1]) == runner.started


def ends(process: int) -> bool:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_first_stage_leaves_what_the_others_are_forked_from(runner):
    first, said = runner.run("go", "1")
    assert own(runner, first) and said == ["ended 0"]
    copy = None
    for note in ("2", "3"):
        words, said = runner.run("go", note, set=f"NOTE=n{note}")
        assert not own(runner, words) and said == ["ended 0"]
        assert words[2:] == ["late", f"n{note}", runner.folder.name, note], "its own arguments, environment and folder"
    words = runner.start("wait")
    copy = psutil.Process(int(words[1])).ppid()
    runner.process.kill()
    assert ends(copy) and ends(int(words[1])), "with the runner all of it ends"


def test_of_stages_that_begin_at_once_one_imports_for_all(tmp_path):
    (tmp_path / "stage.py").write_text(STAGE.replace('("fractions",)', '("heavy",)'))
    (tmp_path / "heavy.py").write_text("import time\nopen('imported', 'a').write('once ')\ntime.sleep(2)\n")
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{tmp_path}"}
    three = "".join(f"DVC_STAGE=s{number} {sys.executable} -m stage go {number} & " for number in range(3))
    ended = subprocess.run(
        ["sh", "-c", three + "wait"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    said = sorted(line.split()[-1] for line in ended.stdout.splitlines())
    assert said == ["0", "1", "2"], ended.stdout + ended.stderr
    assert (tmp_path / "imported").read_text() == "once "


def test_endings_are_those_of_a_process_of_its_own(runner):
    alone = {what: runner.run(what, set="NEOCOG_RUNNER=1")[1] for what in ("refuse", "break")}
    assert alone["refuse"] == ["neocog: no such thing", "ended 2"] and alone["break"][-1] == "ended 1"
    runner.run("go")
    words, said = runner.run("refuse")
    assert not own(runner, words) and said == alone["refuse"]
    words, said = runner.run("break")
    assert not own(runner, words) and said[-2:] == alone["break"][-2:] == ["ValueError: a bug", "ended 1"]


def test_an_edit_between_two_stages_counts(runner):
    runner.run("go")
    (runner.folder / "stage.py").write_text(STAGE.replace("print(what,", "print(what + '-edited',"))
    words, _ = runner.run("go")
    assert not own(runner, words) and words[0] == "go-edited"


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "ended 130"), (signal.SIGTERM, "ended 143")])
def test_a_signal_reaches_the_fork(runner, number, said):
    runner.run("go")
    words = runner.start("wait")
    os.kill(runner.started, number)
    lines = [runner.line()]
    while not lines[-1].startswith("ended"):
        lines.append(runner.line())
    assert lines[-1] == said and ends(int(words[1]))


def test_kill_9_of_either_ends_both(runner):
    runner.run("go")
    words = runner.start("wait")
    os.kill(runner.started, signal.SIGKILL)
    assert ends(int(words[1]))
    assert "ended 137" in (runner.line(), runner.line())
    words = runner.start("wait")
    os.kill(int(words[1]), signal.SIGKILL)
    assert runner.line() == "ended 137"


def test_another_number_of_threads_is_another_copy(runner):
    runner.run("go", set="OMP_NUM_THREADS=1")
    words, _ = runner.run("go", set="OMP_NUM_THREADS=2")
    assert own(runner, words), "libraries read it when they are imported"
    words, _ = runner.run("go", set="OMP_NUM_THREADS=1")
    assert not own(runner, words)
