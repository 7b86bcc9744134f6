"""Under one runner of stages the senders come from one copy that has imported mlflow. `sh` plays DVC here, with a real store."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from test_tracking_faults import client, runs, steps

from neocog.core import fork_server as warm
from neocog.tracking.journal import COPY, FOLDER, journals

pytestmark = pytest.mark.slow

MARK = "NEOCOG_TEST"  # in the environment of what these tests start
STAGE = """
import os, sys, time
import psutil
from pathlib import Path
from neocog import tracking
with tracking.start(sys.argv[1], experiment="test") as run:
    run.metrics({"val/top1": 0.5}, step=1)
    print("own" if psutil.Process().children() else "lent", os.getpid(), flush=True)
    deadline = time.monotonic() + 120
    while not Path(sys.argv[2]).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    run.metrics({"val/top1": 0.6}, step=2)
    Path("note.txt").write_text(sys.argv[1])
    run.artifact(Path("note.txt"))
"""


class Dvc:
    """A shell that starts stages one after the other, as `dvc repro` does."""

    def __init__(self, folder: Path) -> None:
        environment = alone(folder)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(["sh"], cwd=folder, env=environment, text=True, **pipes)  # type: ignore[call-overload]
        self.folder = folder

    def start(self, stage: str, *, until: str = ".", set: str = "") -> tuple[str, int]:
        """Begin a stage that lasts until there is a file `until`. Returns whose its sender is (own, lent) and its process."""
        assert self.process.stdin is not None
        self.process.stdin.write(
            f"{set} DVC_STAGE={stage} {sys.executable} stage.py {stage} {until} </dev/null; echo ended $?\n"
        )
        self.process.stdin.flush()
        whose, pid = self._line().split()
        return whose, int(pid)

    def end(self) -> str:
        """Wait for the end of the stage: `ended` and its exit code, or what it complained of."""
        return self._line()

    def run(self, stage: str, *, set: str = "") -> str:
        """A whole stage, without a word of complaint. Returns whose its sender was."""
        whose, _ = self.start(stage, set=set)
        assert self.end() == "ended 0"
        return whose

    def copy(self) -> psutil.Process | None:
        """The process that waits to be forked."""
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.connect(warm.name(psutil.Process(self.process.pid), COPY))
            return psutil.Process(warm.peer(connection)[0])
        return None

    def forks(self, number: int) -> list[psutil.Process]:
        """What the copy has forked, as soon as it is `number`: asking for the copy makes one too, for a moment."""
        copy, deadline = self.copy(), time.monotonic() + 10
        assert copy is not None
        while len(found := copy.children()) != number:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow database."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("schema") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def dvc(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dvc]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(store, tmp_path / "mlflow.db")
    (tmp_path / "stage.py").write_text(STAGE)
    dvc = Dvc(tmp_path)
    yield dvc
    dvc.process.kill()
    dvc.process.wait()


def alone(folder: Path) -> dict[str, str]:
    """An environment outside of DVC's stages, by which the copies that stages in `folder` leave are known: other tests leave theirs."""
    return {name: value for name, value in os.environ.items() if name != "DVC_STAGE"} | {MARK: str(folder)}


def copies(folder: Path) -> set[psutil.Process]:
    """Every copy that stages in `folder` left, whoever runs them."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == str(folder) and process.cwd() == "/":
                found.add(process)
    return found


def test_the_first_stage_leaves_what_serves_the_others_and_ends_with_dvc(dvc: Dvc) -> None:
    assert dvc.copy() is None
    assert [dvc.run(f"evaluate@{number}") for number in range(3)] == ["own", "lent", "lent"]
    copy = dvc.copy()
    assert copy is not None
    assert dvc.forks(0) == []
    found = runs(dvc.folder)
    assert [run.info.run_name for run in found] == ["evaluate@0", "evaluate@1", "evaluate@2"]
    assert {run.info.status for run in found} == {"FINISHED"}
    assert [steps(dvc.folder, run) for run in found] == [[1, 2]] * 3
    assert [client(dvc.folder).list_artifacts(run.info.run_id)[0].path for run in found] == ["note.txt"] * 3
    assert all("system/process_memory_usage_megabytes" in run.data.metrics for run in found)
    assert journals(dvc.folder / FOLDER) == []
    dvc.process.kill()
    assert dvc.process.stdout is not None
    assert dvc.process.stdout.read() == "", "whoever reads DVC's output need not wait for the copy"
    copy.wait(timeout=10)


def test_a_stage_that_nobody_runs_leaves_nothing(dvc: Dvc) -> None:
    command = [sys.executable, "stage.py", "evaluate@0", "."]
    assert subprocess.check_output(command, cwd=dvc.folder, env=alone(dvc.folder), text=True).startswith("own")
    assert copies(dvc.folder) == set()
    assert dvc.run("evaluate@1") == "own"
    assert copies(dvc.folder) == {dvc.copy()}, "control: one would be seen"


def test_a_stage_sends_to_its_own_store_whatever_the_first_was_told(dvc: Dvc, store: Path) -> None:
    shutil.copyfile(store, dvc.folder / "other.db")
    assert dvc.run("evaluate@0") == "own"
    assert dvc.run("evaluate@1", set="MLFLOW_TRACKING_URI=sqlite:///other.db") == "lent"
    (dvc.folder / "mlflow.db").unlink()
    shutil.copyfile(store, dvc.folder / "mlflow.db")
    assert dvc.run("evaluate@2") == "lent"
    assert [run.info.run_name for run in runs(dvc.folder)] == ["evaluate@2"], (
        "the first went into the store that was removed"
    )
    assert [run.info.run_name for run in runs(f"sqlite:///{dvc.folder}/other.db")] == ["evaluate@1"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_without_an_answer_from_the_copy_a_stage_starts_its_own(dvc: Dvc, number: int) -> None:
    assert dvc.run("evaluate@0") == "own"
    copy = dvc.copy()
    assert copy is not None
    copy.send_signal(number)
    assert dvc.run("evaluate@1") == "own"
    if number == signal.SIGSTOP:
        copy.kill()
        copy.wait(timeout=10)
        dvc.run("evaluate@2")
    assert dvc.run("evaluate@3") == "lent", "there is another copy by now"
    assert {run.info.status for run in runs(dvc.folder)} == {"FINISHED"}


def test_kill_9_of_a_lent_sender_loses_nothing(dvc: Dvc) -> None:
    assert dvc.run("evaluate@0") == "own"
    dvc.start("evaluate@1", until="enough")
    [sender] = dvc.forks(1)
    sender.kill()
    sender.wait(timeout=30)  # one that is killed while the run ends is made up for by the next start only
    (dvc.folder / "enough").touch()
    assert dvc.end() == "ended 0"
    _, found = runs(dvc.folder)
    assert (found.info.status, steps(dvc.folder, found)) == ("FINISHED", [1, 2])


def test_kill_9_of_a_stage_ends_its_lent_sender_and_its_run(dvc: Dvc) -> None:
    assert dvc.run("evaluate@0") == "own"
    _, stage = dvc.start("evaluate@1", until="never")
    [sender] = dvc.forks(1)
    os.kill(stage, signal.SIGKILL)
    assert "Killed" in dvc.end()
    sender.wait(timeout=10)
    _, found = runs(dvc.folder)
    assert (found.info.status, steps(dvc.folder, found)) == ("KILLED", [1])


def test_stages_that_start_at_once_leave_one_copy(dvc: Dvc) -> None:
    stage = f"DVC_STAGE=evaluate@$number {sys.executable} stage.py evaluate@$number . </dev/null >/dev/null"
    assert dvc.process.stdin is not None
    dvc.process.stdin.write(f"for number in 0 1 2; do {stage} & done; wait; echo ended $?\n")
    dvc.process.stdin.flush()
    assert dvc.end() == "ended 0"
    assert len(runs(dvc.folder)) == 3
    assert {run.info.status for run in runs(dvc.folder)} == {"FINISHED"}
    assert copies(dvc.folder) == {dvc.copy()}
