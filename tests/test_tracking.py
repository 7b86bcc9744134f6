"""Tracking without a server in sight: the journal, what may be written down, which run goes on, how runs end."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neocog import tracking
from neocog.core.errors import NeocogError
from neocog.tracking import address
from neocog.tracking.journal import FOLDER, WRITER, Journal, Sent, journals
from neocog.tracking.resume import forget, open_journal

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there
BEGIN = {"stage": "train@lenet", "experiment": "test", "place": "sqlite:///mlflow.db"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / FOLDER


@pytest.fixture
def unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder whose tracking server is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    return tmp_path


def events(project: Path) -> list[dict]:
    [journal] = journals(project / FOLDER)
    return [event for event, _ in journal.events()]


def python(code: str, **options: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def test_importing_tracking_costs_little_and_loads_nothing_heavy() -> None:
    code = """
import sys, time
began = time.process_time()
import neocog.tracking
heavy = ("mlflow", "psutil", "pynvml", "numpy", "yaml")
print(time.process_time() - began, [name for name in heavy if name in sys.modules])
"""
    costs = []
    for _ in range(3):
        seconds, loaded = python(code).communicate()[0].split(" ", 1)
        assert loaded.strip() == "[]"
        costs.append(float(seconds))
    assert min(costs) < 0.2


def test_logging_neither_waits_nor_costs(unreachable: Path) -> None:
    took = []
    with tracking.start("train@lenet", experiment="test") as run:
        for step in range(200):
            began = time.perf_counter()
            run.metrics({"train/loss": 1 / (step + 1), "val/top1": step / 200}, step=step)
            took.append(time.perf_counter() - began)
        began = time.perf_counter()
    assert sorted(took)[100] < 0.02, "the median call"
    assert time.perf_counter() - began < 15, "the end, with a server that is not there"
    logged = [event for event in events(unreachable) if "val/top1" in event.get("metrics", {})]
    assert [event["step"] for event in logged] == list(range(200))


def test_another_rank_leaves_nothing(unreachable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with tracking.start("train@lenet", experiment="test", resume=unreachable / "run.json") as run:
        run.metrics({"val/top1": 0.5})
        run.artifact(unreachable / "never written")
    assert run.id == ""
    assert list(unreachable.iterdir()) == []


@pytest.mark.parametrize(
    ("leave", "status"),
    [
        (None, "FINISHED"),
        (ValueError("too\nbad"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(0), "FINISHED"),
    ],
)
def test_a_run_ends_as_its_block_ends(unreachable: Path, leave: BaseException | None, status: str) -> None:
    caught = None
    try:
        with tracking.start("train@lenet", experiment="test"):
            if leave is not None:
                raise leave
    except BaseException as error:
        caught = error
    assert caught is leave
    last = [event for event in events(unreachable) if "end" in event][-1]
    assert last["end"] == status
    assert last["tags"] == ({"error": "ValueError: too bad"} if status == "FAILED" else {})


def test_ctrl_c_that_lightning_turned_into_an_exit_is_still_ctrl_c(unreachable: Path) -> None:
    with pytest.raises(SystemExit), tracking.start("train@lenet", experiment="test"):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)
    assert [event["end"] for event in events(unreachable) if "end" in event] == ["KILLED"]


def test_the_end_does_not_wait_for_a_worker_that_lives_on(unreachable: Path) -> None:
    with tracking.start("train@lenet", experiment="test"):
        time.sleep(0.5)
        if (worker := os.fork()) == 0:
            time.sleep(30)
            os._exit(0)
        began = time.perf_counter()
    assert time.perf_counter() - began < 15
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)


def test_the_sender_of_a_killed_run_leaves_soon(unreachable: Path) -> None:
    code = """
import time
from neocog import tracking
with tracking.start("train@lenet", experiment="test"):
    print("started", flush=True)
    time.sleep(60)
"""
    child = python(code, cwd=unreachable, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.kill()
    began = time.perf_counter()
    child.communicate(timeout=30)  # the sender holds the error output open as long as it lives
    assert time.perf_counter() - began < 10
    assert len(journals(unreachable / FOLDER)) == 1


def test_sigterm_ends_the_block_and_a_forked_worker_keeps_the_usual_one(unreachable: Path) -> None:
    code = """
import multiprocessing, os, time
from neocog import tracking
try:
    with tracking.start("train@lenet", experiment="test") as run:
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        worker.start()
        time.sleep(0.2)
        worker.terminate()
        worker.join()
        print(worker.exitcode, flush=True)
        time.sleep(60)
finally:
    print("unwound", flush=True)
"""
    child = python(code, cwd=unreachable, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == str(-signal.SIGTERM)
    child.send_signal(signal.SIGTERM)
    output, complaint = child.communicate(timeout=30)
    assert child.returncode == 128 + signal.SIGTERM
    assert output.strip() == "unwound"
    assert "Traceback" not in complaint
    assert [event["end"] for event in events(unreachable) if "end" in event] == ["KILLED"]


def test_a_forked_worker_has_no_say_in_the_run(unreachable: Path) -> None:
    with tracking.start("train@lenet", experiment="test") as run:
        if (worker := os.fork()) == 0:
            run.metrics({"val/top1": 1.0})
            os._exit(0)
        os.waitpid(worker, 0)
    assert not any("val/top1" in event.get("metrics", {}) for event in events(unreachable))


def test_a_torn_line_loses_only_itself(folder: Path) -> None:
    journal = Journal(folder, "ab" * 16)
    journal.append(metrics={"val/top1": 0.1}, step=0)
    with journal.path.open("ab") as file:
        file.write(b'{"t": 1, "metrics": {"val/to')
    assert [event["step"] for event, _ in journal.events()] == [0]
    journal.append(metrics={"val/top1": 0.2}, step=1)
    assert [event["step"] for event, _ in journal.events() if event] == [0, 1]
    _, offset = next(journal.events())
    assert [event["step"] for event, _ in journal.events(offset) if event] == [1]


def test_a_full_disk_is_said_and_healed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tracking.Run(Journal(tmp_path / FOLDER, "ab" * 16), {})
    run.metrics({"val/top1": 0.1}, step=0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, limits[1]))
    try:
        with pytest.raises(NeocogError, match="cannot write the run's records"):
            for step in range(1, 10):
                run.metrics({"val/top1": 0.1}, step=step)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    run.metrics({"val/top1": 0.9}, step=99)
    steps = [event["step"] for event in events(tmp_path) if "step" in event]
    assert steps == [*range(len(steps) - 1), 99]


def test_an_artifact_outlives_its_original_and_a_large_one_costs_no_space(folder: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "models" / "lenet"
    bundle.mkdir(parents=True)
    (bundle / "model.onnx").write_bytes(b"weights" * 200_000)
    (bundle / "bundle.json").write_text("{}")
    journal = Journal(folder, "ab" * 16)
    journal.attach(bundle, "models")
    assert (bundle / "model.onnx").stat().st_nlink == 2
    shutil.rmtree(bundle)
    [kept] = journal.attached()
    assert (kept / "models" / "lenet" / "model.onnx").read_bytes() == b"weights" * 200_000


def test_an_artifact_that_is_not_sent_yet_stays_as_it_was_when_the_next_run_writes_its_file(
    folder: Path, tmp_path: Path
) -> None:
    metrics = tmp_path / "metrics.json"
    journal = Journal(folder, "ab" * 16)
    for score in ("0.1", "0.2"):
        metrics.write_text(score)
        journal.attach(metrics, "")
    assert [(kept / "metrics.json").read_text() for kept in journal.attached()] == ["0.1", "0.2"]


def test_how_far_it_was_sent_survives_nonsense(folder: Path) -> None:
    journal = Journal(folder, "ab" * 16)
    journal.append(end="FINISHED")
    journal.mark(Sent(), offset=17, run_id="x")
    assert (journal.sent().offset, journal.sent().run_id) == (17, "x")
    (folder / f"{journal.run}.sent").write_text('{"offset": 1')
    assert journal.sent() == Sent()


def test_a_writer_is_known_while_it_lives_and_no_longer(folder: Path) -> None:
    code = f"""
import time
from pathlib import Path
from neocog.tracking.journal import WRITER, Journal
print(Journal(Path({str(folder)!r}), {"ab" * 16!r}).lock(WRITER), flush=True)
time.sleep(60)
"""
    journal = Journal(folder, "ab" * 16)
    assert not journal.written()
    writer = python(code)
    assert writer.stdout is not None
    assert writer.stdout.readline().strip() == "True"
    assert journal.written()
    assert not journal.lock(WRITER)
    assert not Journal(folder, "cd" * 16).written(), "another run's"
    writer.kill()
    writer.wait()
    assert not journal.written()


def test_a_run_goes_on_until_its_file_is_gone(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "work" / "run.json"
    first, begin = open_journal(folder, BEGIN, file)
    first.append(begin=begin)
    first.unlock(WRITER)
    again, begin = open_journal(folder, BEGIN, file)
    assert (again.run, begin["resumed"]) == (first.run, True)
    again.append(begin=begin)
    again.append(end="FAILED")
    again.unlock(WRITER)
    assert open_journal(folder, BEGIN, file)[0].run == first.run
    again.append(end="FINISHED")
    again.unlock(WRITER)
    assert open_journal(folder, BEGIN, file)[0].run == first.run, "killed before its file was removed"
    again.unlock(WRITER)
    after, begin = open_journal(folder, BEGIN | {"config": {"bins": 9}}, file)
    assert after.run != first.run, "about something else"
    assert not begin["resumed"]
    forget(file, first.run)
    assert file.exists(), "it names another run by now"
    forget(file, after.run)
    assert not file.exists()


@pytest.mark.parametrize("what", ["other place", "nonsense", "no run", "at work"])
def test_a_run_that_cannot_go_on_is_begun_anew(folder: Path, tmp_path: Path, what: str) -> None:
    file = tmp_path / "run.json"
    first, begin = open_journal(folder, BEGIN, file)
    first.append(begin=begin)
    if what != "at work":
        first.unlock(WRITER)
    if what == "nonsense":
        file.write_text('{"run"')
    if what == "no run":
        file.write_text(json.dumps({**json.loads(file.read_text()), "run": "../../etc"}))
    place = "http://elsewhere" if what == "other place" else BEGIN["place"]
    other, begin = open_journal(folder, {**BEGIN, "place": place}, file)
    assert other.run != first.run
    assert json.loads(file.read_text())["run"] == other.run
    assert not begin["resumed"]


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("sqlite:////srv/a@b/mlflow.db", "sqlite:////srv/a@b/mlflow.db"),
        ("http://joe:s3cret-pw@host:5000/x", "http://host:5000/x"),
        ("https://joe:p@ss/w0rd@host", "https://host"),
        ("postgresql://joe:s3cret-pw@host/db?password=s3cret-pw", "postgresql://host/db"),
    ],
)
def test_a_place_is_a_uri_without_credentials(uri: str, place: str) -> None:
    assert address.place(uri) == place


def test_secrets_are_scrubbed_from_whatever_is_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://joe:p%40ssword1@host")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken-of-mine")
    said = {
        "a": ["p@ssword1", "p%40ssword1"],
        "b t0ken-of-mine": 1,
        "c": "see ftp://eve:x@elsewhere/y",
        "lr": 0.1,
        "d": None,
    }
    assert address.scrub(said) == {
        "a": ["***", "***"],
        "b ***": 1,
        "c": "see ftp://***@elsewhere/y",
        "lr": 0.1,
        "d": None,
    }
    assert address.one_line(OSError("no\nt0ken-of-mine")) == "OSError: no ***"


def test_credentials_go_only_where_they_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://joe:p%40ssword1@host")
    uri, variables = address.resolve("http://host")
    assert (uri, variables) == (
        "http://host",
        {"MLFLOW_TRACKING_USERNAME": "joe", "MLFLOW_TRACKING_PASSWORD": "p@ssword1"},
    )
    uri, variables = address.resolve("http://elsewhere")
    assert uri == "http://elsewhere"
    assert set(variables.values()) == {""}


def test_the_journals_of_a_temporary_copy_are_kept_in_the_project(
    unreachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = unreachable / ".dvc" / "tmp" / "exps" / "tmp1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(unreachable))
    monkeypatch.setenv("DVC_EXP_NAME", "dusky-auks")
    with tracking.start("train@lenet", experiment="test"):
        pass
    assert events(unreachable)[0]["begin"]["exp"] == "dusky-auks"
    assert not (copy / FOLDER).exists()
