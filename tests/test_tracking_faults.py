"""Tracking with real stores and real servers that are late, paused, killed and restarted: nothing is lost, nothing doubled.

Every test here starts `mlflow` for real, on loopback.
"""

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from waiting import wait_for

from neocog import tracking
from neocog.tracking import ui
from neocog.tracking.journal import FOLDER, journals
from neocog.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytestmark = pytest.mark.slow

TRAINING = """
import sys, time
from pathlib import Path
from neocog import tracking
with tracking.start("train@lenet", experiment="test", resume=Path("run.json")) as run:
    first, last, pause = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    for step in range(first, last):
        began = time.perf_counter()
        run.metrics({"train/loss": 1 / (step + 1), "val/top1": step / 100}, step=step)
        print(step, time.perf_counter() - began, flush=True)
        if Path("enough").exists():
            break
        time.sleep(pause)
    began = time.perf_counter()
print("end", time.perf_counter() - began, step, flush=True)
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow database: making one takes 4-10 s."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("schema") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schema: Path) -> Path:
    """An empty project with an empty default store, being the current folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copyfile(schema, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


class Server:
    """A real tracking server, with its own database beside the project."""

    def __init__(self, folder: Path, schema: Path) -> None:
        folder.mkdir()
        shutil.copyfile(schema, folder / "mlflow.db")
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = f"-m mlflow server --host 127.0.0.1 --port {self.port} --workers 1 --backend-store-uri"
        store = ["sqlite:///mlflow.db", "--artifacts-destination", str(self.folder / "artifacts")]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command.split(), *store],
                cwd=self.folder,
                env={**os.environ, **quiet},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                    return
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.2)
        pytest.fail((self.folder / "log").read_text())

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def stop(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path, project: Path, schema: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, not started yet, that the project's runs are meant for; the URI holds a password."""
    server = Server(tmp_path / "server", schema)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri.replace("//", "//joe:s3cret-pw@"))
    yield server
    server.stop()


class Relay(threading.Thread):
    """A line to the server on which the first request to create a run gets no answer; if `late` it comes after the next one."""

    def __init__(self, server: Server, *, late: bool) -> None:
        super().__init__(daemon=True)
        self.held = 0
        self._another = threading.Event()
        self._server = server
        self._late = late
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def run(self) -> None:
        while True:
            near, _ = self._socket.accept()
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", self._server.port))
        threading.Thread(target=self._back, args=(far, near), daemon=True).start()
        while request := near.recv(1 << 20):
            if b"/runs/create" in request and not self.held:
                self.held += 1
                request += near.recv(1 << 20) if request.endswith(b"\r\n\r\n") else b""
                near.close()
                if self._late:
                    self._another.wait()
                    time.sleep(1)
                far.sendall(request)
                time.sleep(5)
                return
            far.sendall(request)
            if b"/runs/create" in request:
                self._another.set()
        far.close()

    def _back(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while answer := far.recv(1 << 20):
                near.sendall(answer)


def client(store: Path | str) -> "MlflowClient":
    from mlflow import MlflowClient

    uri = f"sqlite:///{store}/mlflow.db" if isinstance(store, Path) else store
    return MlflowClient(uri, registry_uri=uri)


def runs(store: Path | str, *, which: int = 1) -> list["Run"]:
    """Those that are there (1), were deleted (2), or both (3)."""
    found = client(store)
    experiment = found.get_experiment_by_name("test")
    wanted = [] if experiment is None else [experiment.experiment_id]
    return list(found.search_runs(wanted, run_view_type=which, order_by=["start_time"])) if wanted else []


def steps(store: Path | str, run: "Run", name: str = "val/top1") -> list[int]:
    return sorted(metric.step for metric in client(store).get_metric_history(run.info.run_id, name))


def train(project: Path, first: int, last: int, pause: float = 0.0) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(first), str(last), str(pause)],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sender_of(training: subprocess.Popen) -> int:
    import psutil

    [sender] = psutil.Process(training.pid).children()
    return sender.pid


def until_step(training: subprocess.Popen, step: int) -> list[float]:
    """Read on until the step is done. Returns the seconds of the calls until there."""
    assert training.stdout is not None
    calls = []
    for line in training.stdout:
        number, seconds, *_ = line.split()
        calls.append(float(seconds))
        if number == str(step):
            return calls
    assert training.stderr is not None
    pytest.fail(training.stderr.read())


def until_sent(project: Path) -> None:
    """Wait until MLflow has all that the one journal holds by now."""
    [journal] = journals(project / FOLDER)
    size, deadline = journal.size(), time.monotonic() + 60
    assert size, "the run goes on"
    while journal.sent().offset < size:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def end(training: subprocess.Popen, project: Path) -> tuple[list[float], float, list[int], str]:
    """Let a training of many steps end. Returns the seconds of its calls not yet read, of its end, all its steps, and its complaint."""
    (project / "enough").touch()
    assert training.stdout is not None
    assert training.stderr is not None
    late = threading.Timer(300, training.kill)
    late.start()
    lines, complaint = training.stdout.readlines(), training.stderr.read()  # communicate() would miss what is buffered
    assert training.wait() == 0, complaint
    late.cancel()
    *calls, last = (line.split() for line in lines)
    return [float(call[1]) for call in calls], float(last[1]), list(range(int(last[2]) + 1)), complaint


def assert_quick(calls: list[float]) -> None:
    """Seconds in metrics(): far from the time-out of a request, though a loaded machine may hold up one or two."""
    assert statistics.median(calls) < 0.02
    assert max(calls) < 2


def test_a_run_is_all_there(project: Path) -> None:
    (project / "report.html").write_text("<p>")
    long = "x" * 10_000
    with tracking.start(
        "train@lenet", experiment="test", tags={"architecture": "lenet"}, config={"train": {"lr": 0.1, "note": long}}
    ) as run:
        run.params({"train.lr": 0.1, "train.note": long, "train.milestones": [3, 6]})
        run.params({"train.lr": 0.2})
        run.dataset(name="digits", digest="ab" * 32, source="data/prepared", context="train")
        for step in range(3):
            run.metrics({"val/top1": step / 10, "val/loss": [1.0, float("nan"), float("inf")][step]}, step=step)
        run.artifact(project / "report.html", folder="reports")
        (project / "report.html").unlink()
        run.tags({"bundle.sha256": "0", "architecture": "lenet-5"})
        run.tags({"bundle.sha256": "1"})
    [found] = runs(project)
    data = found.data
    assert (found.info.run_name, found.info.status) == ("train@lenet", "FINISHED")
    assert found.info.end_time >= found.info.start_time
    assert data.params["train.lr"] == "0.1"
    assert data.params["train.milestones"] == "[3, 6]"
    assert 500 <= len(data.params["train.note"]) <= 6000
    expected = {
        "stage": "train@lenet",
        "architecture": "lenet-5",
        "bundle.sha256": "1",
        "changed.train.lr": "0.2",
        "neocog.run": run.id,
        "mlflow.runName": "train@lenet",
        "mlflow.source.type": "LOCAL",
    }
    assert {name: data.tags.get(name) for name in expected} == expected
    assert {"mlflow.user", "mlflow.source.name"} <= set(data.tags)
    assert steps(project, found) == [0, 1, 2]
    losses = {metric.step: metric.value for metric in client(project).get_metric_history(found.info.run_id, "val/loss")}
    assert losses[0] == 1.0
    assert losses[1] != losses[1]
    assert losses[2] > 1e300
    [used] = found.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("digits", ("ab" * 32)[:36])
    assert json.loads(used.dataset.source) == {"uri": "data/prepared"}
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "train")]
    assert data.metrics["system/system_memory_usage_megabytes"] > 0
    assert 0 <= data.metrics["system/cpu_utilization_percentage"] <= 100
    artifacts = project / "mlartifacts" / "test" / found.info.run_id / "artifacts"
    assert (artifacts / "reports" / "report.html").read_text() == "<p>"
    assert long in (artifacts / "params.yaml").read_text()
    assert journals(project / FOLDER) == []
    assert [path.name for path in (project / FOLDER).iterdir()] == ["locks"]


def test_scores_of_a_bundle_stand_once_in_the_run_that_made_it(project: Path) -> None:
    digest = "ab" * 32
    with tracking.start("train@lenet", experiment="test", tags={"bundle.sha256": digest}) as run:
        run.metrics({"val/top1": 0.9}, step=3)
    for _ in range(2):
        with tracking.start("evaluate@lenet", experiment="test", tags={"bundle.sha256": digest}) as run:
            run.scores(digest, {"test/top1": 0.8})
            run.scores("cd" * 32, {"test/top1": 0.1})
    trained, *judged = runs(project)
    assert trained.data.metrics["test/top1"] == 0.8
    assert [run.data.metrics.get("test/top1") for run in judged] == [None, None], (
        "control: nor does it come from elsewhere"
    )
    store = Store(f"sqlite:///{project}/mlflow.db", project)
    with store.open(10.0):
        where = trained.info.experiment_id
        model = store.client.create_logged_model(where, "lenet", tags={"bundle.sha256": digest})
        assert store.score(digest, {"test/top1": 0.8})
        assert [each.value for each in store.client.get_logged_model(model.model_id).metrics] == [0.8]
        assert len(store.client.get_metric_history(trained.info.run_id, "test/top1")) == 1
        assert store.client.get_experiment(where).tags["mlflow.experimentKind"] == "custom_model_development"
    assert ui.page() == f"#/experiments/{where}/runs?workflowType=machine_learning"


def test_the_commit_is_a_tag(project: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    for name in ("code.py", "dvc.lock"):
        Path(name).write_text("1")
    git("add", "code.py", "dvc.lock")
    git("commit", "-qm", "one")
    dirty = []
    for name in ("dvc.lock", "code.py"):
        Path(name).write_text("2")
        with tracking.start("evaluate@lenet", experiment="test"):
            pass
        tags = runs(project)[-1].data.tags
        assert tags["git.commit"] == git("rev-parse", "HEAD")
        dirty.append(tags["git.dirty"])
    assert dirty == ["false", "true"], "what the pipeline itself writes does not make the code another"


def test_journals_of_another_machine_are_sent_here_once(project: Path, tmp_path: Path, monkeypatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("NEOCOG_TRACKING_JOURNAL", "1")
    with tracking.start("train@lenet", experiment="test") as run:
        run.metrics({"val/top1": 0.5}, step=3)
        (elsewhere / "curve.csv").write_text("1")
        run.artifact(elsewhere / "curve.csv")
    assert not (elsewhere / "mlflow.db").exists(), "no process sends it there"
    monkeypatch.delenv("NEOCOG_TRACKING_JOURNAL")
    monkeypatch.chdir(project)
    for command in ("init -q", "-c user.name=t -c user.email=t@example.org commit -q --allow-empty -m one"):
        subprocess.run(["git", *command.split()], check=True)
    for _ in range(2):  # a stage that is started again sends what it had sent
        assert tracking.adopt(elsewhere / FOLDER, project) == 1
        assert tracking.sync() == 0
    [sent] = runs(project)
    assert (sent.info.status, sent.data.metrics["val/top1"]) == ("FINISHED", 0.5)
    assert len(sent.data.tags["git.commit"]) == 40
    assert [each.path for each in client(project).list_artifacts(sent.info.run_id)] == ["curve.csv"]


def test_parts_are_children_sent_by_their_parents_sender(project: Path) -> None:
    trial = """
import sys
from neocog import tracking
with tracking.start("trial", experiment="test", parent=sys.argv[1]) as run:
    run.metrics({"val/top1": float(sys.argv[2])})
print(run.id)
"""
    with tracking.start("tune@lenet", experiment="test") as parent:
        began = time.perf_counter()
        with tracking.start("trial", experiment="test", parent=parent.id) as part:
            part.metrics({"val/top1": 0.0})
        assert time.perf_counter() - began < 2, "a part waits for nobody"
        trials = [
            subprocess.Popen([sys.executable, "-c", trial, parent.id, str(number)], cwd=project) for number in (1, 2)
        ]
        assert [each.wait() for each in trials] == [0, 0]
    mother, *children = sorted(runs(project), key=lambda run: run.info.run_name != "tune@lenet")
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {mother.info.run_id}
    assert sorted(child.data.metrics["val/top1"] for child in children) == [0.0, 1.0, 2.0]
    assert {run.info.status for run in runs(project)} == {"FINISHED"}


def test_sigterm_kills_and_an_error_fails(project: Path) -> None:
    training = train(project, 0, 1000, pause=0.05)
    until_step(training, 3)
    training.send_signal(signal.SIGTERM)
    _, complaint = training.communicate(timeout=60)
    assert training.returncode == 143
    assert complaint == ""
    with pytest.raises(ZeroDivisionError), tracking.start("evaluate@lenet", experiment="test"):
        1 / 0  # noqa: B018
    killed, failed = runs(project)
    assert (killed.info.status, failed.info.status) == ("KILLED", "FAILED")
    assert failed.data.tags["error"] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("early", [True, False], ids=["before anything is sent", "while sending"])
def test_kill_9_and_the_same_command_again_is_one_run(project: Path, early: bool) -> None:
    training = train(project, 0, 1000, pause=0.05)
    until_step(training, 5)
    if not early:
        until_sent(project)
    training.kill()
    training.wait()
    killed_at = Path("run.json").read_text()
    again = train(project, 3, 12)
    _, complaint = again.communicate(timeout=120)
    assert again.returncode == 0, complaint
    [found] = runs(project)
    assert found.info.status == "FINISHED"
    assert json.loads(killed_at)["run"] == found.data.tags["neocog.run"]
    assert set(steps(project, found)) >= set(range(12))
    assert not Path("run.json").exists()
    after = train(project, 0, 1)
    after.communicate(timeout=120)
    assert len(runs(project)) == 2, "a finished run does not go on"


def test_kill_9_of_a_run_and_its_sender_is_swept_by_the_next_start(project: Path) -> None:
    training = train(project, 0, 1000, pause=0.05)
    until_step(training, 5)
    until_sent(project)
    os.kill(sender_of(training), signal.SIGKILL)
    training.kill()
    training.communicate()
    [left] = runs(project)
    assert left.info.status == "RUNNING", "control: without a sweep it would be so for ever"
    Path("run.json").unlink()
    with tracking.start("evaluate@lenet", experiment="test"):
        pass
    swept, other = runs(project)
    assert (swept.info.run_id, swept.info.status, other.info.status) == (left.info.run_id, "KILLED", "FINISHED")
    assert set(steps(project, swept)) >= set(range(6))
    assert swept.info.end_time < other.info.start_time
    assert journals(project / FOLDER) == []


def test_a_living_run_is_not_swept(project: Path) -> None:
    training = train(project, 0, 1000, pause=0.05)
    until_step(training, 5)
    until_sent(project)
    assert tracking.sync() == 0
    assert runs(project)[0].info.status == "RUNNING"
    training.send_signal(signal.SIGTERM)
    training.communicate(timeout=60)


def eight(project: Path, code: str = "") -> list[tuple[int, str]]:
    """Eight processes at once on a store that is not there. Returns exit codes and error output."""
    for path in project.glob("mlflow.db*"):
        path.unlink()
    program = f"""
import sys
from neocog import tracking
{code}
with tracking.start(f"evaluate@{{sys.argv[1]}}", experiment="test") as run:
    for step in range(5):
        run.metrics({{"test/top1": step}}, step=step)
"""
    command = [sys.executable, "-c", program]
    started = [
        subprocess.Popen([*command, str(number)], cwd=project, stderr=subprocess.PIPE, text=True) for number in range(8)
    ]
    return [(each.wait(), each.communicate()[1]) for each in started]


def test_eight_first_starts_on_a_fresh_store_all_succeed(project: Path) -> None:
    assert eight(project) == [(0, "")] * 8
    found = runs(project)
    assert sorted(run.info.run_name for run in found) == [f"evaluate@{number}" for number in range(8)]
    assert [steps(project, run, "test/top1") for run in found] == [list(range(5))] * 8
    assert {run.info.status for run in found} == {"FINISHED"}
    assert {each.name for each in client(project).search_experiments()} == {"Default", "test"}


def test_kill_9_while_the_store_is_made_leaves_no_half_a_store(project: Path) -> None:
    for path in project.glob("mlflow.db*"):
        path.unlink()
    part = project / "mlflow.db.part"
    training = train(project, 0, 1000, pause=0.05)
    until_step(training, 1)
    size = 0
    while not size:
        assert training.poll() is None
        with suppress(FileNotFoundError):
            size = part.stat().st_size
    os.kill(sender_of(training), signal.SIGKILL)
    training.kill()
    training.communicate()
    assert not (project / "mlflow.db").exists(), "control: it was killed while making it"
    _, complaint = train(project, 0, 3).communicate(timeout=120)
    assert complaint == ""
    [found] = runs(project)
    assert (found.info.status, set(steps(project, found)) >= {0, 1, 2}) == ("FINISHED", True)


def test_a_cleaned_up_project_still_gets_the_rest_of_the_run(project: Path) -> None:
    with tracking.start("train@lenet", experiment="test") as run:
        run.metrics({"val/top1": 0.0}, step=0)
        until_sent(project)
        shutil.rmtree(project / ".neocog")
        time.sleep(1)
        run.metrics({"val/top1": 0.1}, step=1)
    [found] = runs(project)
    assert (found.info.status, steps(project, found)) == ("FINISHED", [0, 1])


def test_unreachable_at_first_and_sent_later_with_no_secret_anywhere(project: Path, server: Server) -> None:
    (project / "figure.svg").write_text("<svg/>")
    training = """
from pathlib import Path
from neocog import tracking
import os
uri = os.environ["MLFLOW_TRACKING_URI"]
with tracking.start("train@lenet", experiment="test", config={"uri": uri}, tags={"from": uri}) as run:
    run.params({"uri": uri, "password": "s3cret-pw"})
    run.artifact(Path("figure.svg"))
    for step in range(5):
        run.metrics({"val/top1": step}, step=step)
    print("x", flush=True)
    raise ValueError(f"cannot reach {uri}")
"""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", training], cwd=project, capture_output=True, text=True, check=False)
    assert time.perf_counter() - began < 15
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("neocog: tracking:")]
    assert len(said) == 1
    assert f"{server.uri} does not answer" in said[0]
    written = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert any(b"does not" not in content and b"val/top1" in content for content in written.values())
    assert [path for path, content in written.items() if b"s3cret" in content] == []
    assert "s3cret" not in "".join(said) + done.stdout
    assert tracking.sync() == 1, "control: as long as nobody answers it is left"
    server.start()
    assert tracking.sync() == 0
    [found] = runs(server.uri)
    assert (found.info.status, steps(server.uri, found)) == ("FAILED", list(range(5)))
    assert found.data.tags["error"] == f"ValueError: cannot reach {server.uri.replace('//', '//***@')}"
    assert found.data.params == {"uri": server.uri.replace("//", "//***@"), "password": "***"}
    names = {path.name for path in (server.folder / "artifacts").rglob("*") if path.is_file()}
    assert names == {"figure.svg", "params.yaml"}
    everywhere = [path for root in (project, server.folder) for path in root.rglob("*") if path.is_file()]
    assert [path for path in everywhere if b"s3cret" in path.read_bytes()] == []


def test_a_paused_server_stops_nobody_and_doubles_nothing(project: Path, server: Server) -> None:
    server.start()
    server.signal(signal.SIGSTOP)
    training = train(project, 0, 10_000, pause=0.25)
    assert training.stderr is not None
    assert "does not answer" in training.stderr.readline()
    calls, seconds, told, complaint = end(training, project)
    assert_quick(calls)
    assert seconds < 60, "far from the time-outs of all its requests"
    assert complaint == "", "said once"
    server.signal(signal.SIGCONT)
    assert tracking.sync() == 0
    [found] = runs(server.uri)
    assert (found.info.status, steps(server.uri, found)) == ("FINISHED", told)


def test_a_server_paused_in_the_middle_loses_nothing(project: Path, server: Server) -> None:
    server.start()
    training = train(project, 0, 10_000, pause=0.25)
    until_step(training, 5)
    until_sent(project)
    server.signal(signal.SIGSTOP)
    paused = until_step(training, 20)
    server.signal(signal.SIGCONT)
    resumed = until_step(training, 40)
    _, _, told, _ = end(training, project)  # perhaps at once: then no call is left to be read
    assert_quick(paused)
    assert_quick(resumed)
    [found] = runs(server.uri)
    assert (found.info.status, steps(server.uri, found)) == ("FINISHED", told)
    assert journals(project / FOLDER) == []


def test_a_server_killed_and_restarted_in_the_middle_loses_nothing(project: Path, server: Server) -> None:
    server.start()
    training = train(project, 0, 10_000, pause=0.25)
    until_step(training, 5)
    until_sent(project)
    server.stop()
    assert training.stderr is not None
    assert "does not answer" in training.stderr.readline()
    server.start()
    _, _, told, complaint = end(training, project)
    assert complaint == "", "said once"
    assert tracking.sync() == 0
    [found] = runs(server.uri)
    assert (found.info.status, steps(server.uri, found)) == ("FINISHED", told)


def test_control_a_caller_that_talks_to_the_server_itself_is_stopped(project: Path, server: Server) -> None:
    server.start()
    direct = """
import os, sys
os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}
from mlflow import MlflowClient
client = MlflowClient()
run = client.create_run(client.create_experiment("test")).info.run_id
print("ready", flush=True)
sys.stdin.readline()
client.log_metric(run, "val/top1", 0.5)
"""
    training = subprocess.Popen(
        [sys.executable, "-c", direct],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert training.stdout is not None
    assert training.stdout.readline().strip() == "ready"
    server.signal(signal.SIGSTOP)
    training.communicate("go\n", timeout=60)
    assert training.returncode == 1
    server.signal(signal.SIGCONT)


@pytest.mark.parametrize("late", [False, True], ids=["lost answer", "late request"])
def test_a_run_whose_creation_was_not_answered_is_one_run(
    project: Path, server: Server, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    relay = Relay(server, late=late)
    relay.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", relay.uri)
    training = train(project, 0, 10_000, pause=0.25)
    assert wait_for(lambda: len(runs(server.uri, which=3)) == 1 + late, seconds=120, process=training)
    _, _, told, _ = end(training, project)
    assert relay.held == 1
    assert tracking.sync() == 0
    [found] = runs(server.uri)
    assert (found.info.status, steps(server.uri, found)) == ("FINISHED", told)
    assert len(runs(server.uri, which=2)) == (1 if late else 0), (
        "control: without tidying up, the late request would be a second run"
    )


def test_a_store_that_was_emptied_gets_the_whole_run_again(project: Path, schema: Path, server: Server) -> None:
    server.start()
    training = train(project, 0, 10_000, pause=0.25)
    until_step(training, 5)
    until_sent(project)
    server.stop()
    shutil.copyfile(schema, server.folder / "mlflow.db")
    server.start()
    _, _, told, _ = end(training, project)
    assert tracking.sync() == 0
    [found] = runs(server.uri)
    assert (found.info.status, steps(server.uri, found)) == ("FINISHED", told)


def test_a_run_deleted_while_it_goes_on_is_sent_anew(project: Path) -> None:
    with tracking.start("train@lenet", experiment="test") as run:
        run.metrics({"val/top1": 0.0}, step=0)
        until_sent(project)
        [deleted] = runs(project)
        client(project).delete_run(deleted.info.run_id)
        run.metrics({"val/top1": 0.1}, step=1)
    assert tracking.sync() == 0
    [found] = runs(project)
    assert found.info.run_id != deleted.info.run_id
    assert (found.info.status, steps(project, found)) == ("FINISHED", [0, 1])


@pytest.mark.parametrize("resumed", [True, False], ids=["resumed", "control"])
def test_what_a_resumed_run_logs_again_is_there_once(project: Path, resumed: bool) -> None:
    memory = Path("run.json")
    for first in (0, 2):  # cut off when step 2 was logged, but not yet in a checkpoint
        with suppress(KeyboardInterrupt), tracking.start("train@lenet", experiment="test", resume=memory) as run:
            for step in range(first, first + 3):
                run.metrics({"val/top1": step / 10}, step=step)
                time.sleep(0.002)  # another millisecond, another value for MLflow
                if not resumed:
                    run.metrics({"val/top1": step / 10}, step=step)
            if first == 0:
                raise KeyboardInterrupt
        if first == 0 and not resumed:
            memory.unlink()
    assert tracking.sync() == 0
    logged = sorted(steps(project, found) for found in runs(project))
    assert logged == ([[0, 1, 2, 3, 4]] if resumed else [[0, 0, 1, 1, 2, 2], [2, 2, 3, 3, 4, 4]])


def test_sending_again_doubles_nothing(project: Path) -> None:
    training = train(project, 0, 1000, pause=0.05)
    until_step(training, 5)
    until_sent(project)
    [journal] = journals(project / FOLDER)
    before = [event for event, _ in journal.events()]
    training.kill()
    training.communicate()
    assert tracking.sync() == 0
    assert not journal.size()
    for event in before:  # the journal is back, and nobody knows how far it was sent
        journal.append(**event)
    journal.append(begin={**before[0]["begin"], "resumed": True})
    assert tracking.sync() == 0
    [found] = runs(project)
    logged = steps(project, found)
    assert logged == sorted(set(logged))
    assert len(logged) >= 6
