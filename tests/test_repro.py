"""`neocog repro` does what `dvc repro` does, several stages at once: real DVC, small stages, the same dvc.lock byte for byte."""

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from clones import environment, run
from imports import ROOT
from waiting import wait_for

STAGE = """
import os, sys, time
from pathlib import Path
name = sys.argv[1]
Path("ran").mkdir(exist_ok=True)
begin = 1
text = name + "".join(Path(each).read_text() for each in sys.argv[2:])
hold = Path(f"hold-{name}")
while hold.exists() and not (hold.read_text() and Path(hold.read_text()).exists()):
    if begin:
        print(f"{name} is held", flush=True)
        begin = 0
    time.sleep(0.02)
if Path(f"break-{name}").exists():
    sys.exit(f"{name} is broken")
Path("out").mkdir(exist_ok=True)
Path(f"out/{name}.txt").write_text(text)
with open("ran/log", "a") as log:
    log.write(f"{name} {os.getpid()} {os.environ.get('NEOCOG_CPUS', '-')}\\n")
"""
GRAPH = {"a": [], "b": ["a"], "c": ["a"], "d": ["b"], "e": [], "f": ["c", "d", "e"]}
PARAMS = {
    "p": {
        "rate": 1e-05,
        "big": 1e17,
        "text": "a: 'quoted' \"text\" # no comment\nand a second line",
        "none": None,
        "list": [1, [2, 3]],
    },
    "long": "word " * 60,
    "ünï": {"yes": "yes", "no": False, "zero": "0123", "date": "2020-01-01", "empty": "", "map": {}},
}
TREE = ("out", "dvc.lock", ".dvc/cache", ".gitignore")


def project(folder: Path, graph: dict[str, list[str]] = GRAPH, **more: dict[str, Any]) -> Path:
    """A DVC project with a stage for each node of `graph`; `more`: further keys of a stage."""
    folder.mkdir()
    (folder / "stage.py").write_text(STAGE)
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS, allow_unicode=True))
    stages = {
        name: {
            "cmd": f"{sys.executable} -S stage.py {name} {' '.join(f'out/{need}.txt' for need in needs)}",
            "deps": ["stage.py", *(f"out/{need}.txt" for need in needs)],
            "params": list(PARAMS),
            "outs": [f"out/{name}.txt"],
            **more.get(name, {}),
        }
        for name, needs in graph.items()
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    for command in ("git init -q", "git config user.email t@example.org", "git config user.name t", "dvc init -q"):
        run(folder, *command.split())
    return folder


def start(folder: Path, *arguments: str, **popen: Any) -> "subprocess.Popen[str]":
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    given = {"cwd": folder, "env": env(folder), **pipes, **popen}
    return subprocess.Popen([sys.executable, "-m", "neocog.cli.main", *arguments], **given)


def env(folder: Path) -> dict[str, str]:
    return environment(folder) | {"PYTHONPATH": str(ROOT / "src")}


def neocog(folder: Path, *arguments: str, code: int = 0) -> str:
    started = start(folder, *arguments)
    said, _ = started.communicate(timeout=120)
    assert started.returncode == code, said
    return said


def ran(folder: Path) -> list[str]:
    """Names of the stages that ran to their end since this was asked last, in the order in which they ended."""
    log = folder / "ran/log"
    names = [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []
    log.unlink(missing_ok=True)
    return names


def files(folder: Path) -> dict[str, bytes]:
    """dvc.lock, outs, cache (with run-cache) and .gitignore."""
    found = [
        path for name in TREE for path in ([folder / name] if (folder / name).is_file() else (folder / name).rglob("*"))
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The project after plain `dvc repro`, and what it was before."""
    folder = project(tmp_path_factory.mktemp("serial") / "project")
    fresh = folder.parent / "fresh"
    shutil.copytree(folder, fresh)
    run(folder, "dvc", "repro", "-q")
    return folder, fresh


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_files_are_those_of_dvc_repro_and_each_has_nothing_to_do_after_the_other(serial, tmp_path, jobs):
    plain, fresh = serial
    folder = tmp_path / "project"
    shutil.copytree(fresh, folder)
    if jobs > 1:
        (folder / "hold-a").write_text("dvc.lock")  # e, later in the plan, is done before it
    said = neocog(folder, "repro", "-j", str(jobs))
    names = ran(folder)
    assert "6 done" in said and sorted(names) == sorted(GRAPH) and (names[0] == "e") == (jobs > 1)
    assert files(folder) == files(plain)
    assert "up to date" in run(folder, "dvc", "repro")
    assert "6 unchanged" in neocog(folder, "repro", "-j", str(jobs)) and not ran(folder)
    other = tmp_path / "other"
    shutil.copytree(plain, other)
    ran(other)
    assert "6 unchanged" in neocog(other, "repro") and not ran(other) and files(other) == files(plain)


@pytest.fixture
def folder(serial, tmp_path):
    """A project in which nothing has run."""
    shutil.copytree(serial[1], tmp_path / "project")
    return tmp_path / "project"


def held(folder: Path, *stages: str) -> None:
    """Wait until these stages run and wait for the end of `hold`."""
    logs = [folder / ".neocog/logs" / f"{stage}.log" for stage in stages]
    assert wait_for(lambda: all(log.exists() and "is held" in log.read_text() for log in logs), seconds=60)


def hold(folder: Path, *stages: str) -> None:
    for stage in stages:
        (folder / f"hold-{stage}").touch()


def release(folder: Path) -> None:
    for path in folder.glob("hold-*"):
        path.unlink()


def entries(folder: Path) -> list[str]:
    return list(yaml.safe_load((folder / "dvc.lock").read_text())["stages"])


def at_work(folder: Path) -> list[psutil.Process]:
    """Processes of stages."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if process.info["cwd"] == str(folder) and "stage.py" in " ".join(process.info["cmdline"] or []):
            found.append(process)
    return found


def test_a_terminal_shows_one_table_of_what_runs(folder):
    """Not the stages' own lines, which are in their logs; in the end a line a stage."""
    hold(folder, "b", "c")
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    terminal = env(folder) | {"TERM": "xterm", "NO_COLOR": "1"}
    started = start(folder, "repro", "-j", "2", env=terminal, stdin=its, stdout=its, stderr=its)
    os.close(its)
    said = bytearray()

    def shows(*texts: str, since: str = "") -> bool:
        if select.select([ours], [], [], 0.05)[0]:
            with suppress(OSError):  # the other end is closed
                said.extend(os.read(ours, 1 << 16))
        last = said.decode("utf-8", "replace").rpartition(since or "\0")[2]
        return all(text in last for text in texts)

    assert wait_for(lambda: shows("b is held", "c is held", since="images/s"), seconds=60)
    table = said.decode("utf-8", "replace").rpartition("images/s")[2]
    assert [line.split()[0] for line in table.splitlines()[1:] if line.split()][:2] == ["b", "c"], table
    release(folder)
    assert wait_for(lambda: shows("6 stages: 6 done"), seconds=60)
    assert started.wait(timeout=60) == 0
    os.close(ours)
    text = said.decode("utf-8", "replace")
    assert all(f"[{name}] done in" in text for name in GRAPH) and "[b] b is held" not in text


def test_a_failed_stage_stops_what_depends_on_it_and_says_why(serial, folder):
    (folder / "break-b").touch()
    said = neocog(folder, "repro", "-j", "2", "--keep-going", code=255)
    assert sorted(ran(folder)) == ["a", "c", "e"] == sorted(entries(folder))
    assert "b is broken" in said and ".neocog/logs/b.log" in said and "1 failed" in said and "2 skipped" in said
    (folder / "break-b").unlink()
    neocog(folder, "repro", "-j", "2")
    assert sorted(ran(folder)) == ["b", "d", "f"], "what was done is not run again"
    assert files(folder)["dvc.lock"] == files(serial[0])["dvc.lock"]


def test_without_keep_going_nothing_new_starts_and_what_runs_is_kept(folder):
    (folder / "break-a").touch()
    (folder / "hold-e").write_text(".neocog/failed")
    (folder / "stage.py").write_text(STAGE.replace("sys.exit(", "Path('.neocog/failed').touch() or sys.exit("))
    neocog(folder, "repro", "-j", "2", code=255)
    assert ran(folder) == ["e"] == entries(folder)


def test_an_edit_in_mid_run_is_seen(folder):
    hold(folder, "a", "e")
    with start(folder, "repro", "-j", "2") as started:
        held(folder, "a", "e")
        (folder / "stage.py").write_text(STAGE + "# edited\n")
        release(folder)
        said, _ = started.communicate(timeout=60)
    assert started.returncode == 0 and "stage.py changed meanwhile: it will run again" in said
    ran(folder)
    assert "2 done, 4 unchanged" in neocog(folder, "repro", "-j", "2")
    assert sorted(ran(folder)) == ["a", "e"], "those that began before the edit, and no others"
    run(folder, "dvc", "repro")
    assert not ran(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_after_any_end_the_same_command_continues(serial, folder, number):
    hold(folder, "c")
    with start(folder, "repro", "-j", "2") as started:
        held(folder, "c")
        assert wait_for(lambda: (folder / "dvc.lock").exists() and len(entries(folder)) == 4, seconds=60)
        started.send_signal(number)
        started.communicate(timeout=60)
    assert started.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number)
    assert wait_for(lambda: not at_work(folder), seconds=30)
    assert sorted(ran(folder)) == ["a", "b", "d", "e"] == sorted(entries(folder))
    release(folder)
    neocog(folder, "repro", "-j", "2")
    assert sorted(ran(folder)) == ["c", "f"]
    assert files(folder)["dvc.lock"] == files(serial[0])["dvc.lock"]


def test_a_killed_stage_fails_and_no_other(folder):
    hold(folder, "a", "e")
    with start(folder, "repro", "-j", "2", "-k") as started:
        held(folder, "a", "e")
        next(each for each in at_work(folder) if each.cmdline()[-1] == "e").kill()
        release(folder)
        said, _ = started.communicate(timeout=60)
    assert started.returncode == 255 and "[e] failed" in said and sorted(ran(folder)) == ["a", "b", "c", "d"]


def test_a_second_one_waits_and_says_for_whom(folder):
    hold(folder, "a")
    with start(folder, "repro", "-j", "2") as first:
        held(folder, "a")
        with start(folder, "repro", stderr=subprocess.PIPE) as second:
            assert second.stderr is not None
            assert f"waits for process {first.pid} (neocog repro -j 2)" in second.stderr.readline()
            release(folder)
            first.communicate(timeout=60)
            _, said = second.communicate(timeout=60)
    assert first.returncode == second.returncode == 0 and "6 unchanged" in said
    assert sorted(ran(folder)) == sorted(GRAPH)


UNDECLARED = {"c": {"cmd": f"{sys.executable} -S stage.py c out/a.txt out/e.txt", "deps": ["stage.py", "out/a.txt"]}}


def test_isolated_stages_give_the_same_files_and_miss_what_they_do_not_declare(serial, folder, tmp_path):
    neocog(folder, "repro", "-j", "2", "--isolated")
    assert files(folder) == files(serial[0])
    assert not ran(folder), "the log that each stage keeps is declared by none: it was in the stage's folder"
    assert not any((folder / ".dvc/tmp/stages").glob("[!.]*")), "their folders are gone"
    (tmp_path / "there").touch()
    outside = {"w": {"deps": ["stage.py", str(tmp_path / "there")]}, "r": {"deps": ["stage.py", "../there"]}}
    graph: dict[str, list[str]] = {"a": [], "e": ["a"], "c": ["a", "e"], "w": [], "r": []}
    other = project(tmp_path / "undeclared", graph, **UNDECLARED, **outside)
    said = neocog(other, "repro", "-j", "1", "--isolated", "--keep-going", code=255)
    assert "No such file or directory: 'out/e.txt'" in said and sorted(entries(other)) == ["a", "e", "w"]
    assert "../there is outside of the project" in said
    neocog(other, "repro", "-j", "1", "c")
    assert ran(other) == ["c"], "the control: in the project the file is there"


@pytest.mark.slow
def test_what_dvc_runs_by_itself_imports_frozen_stages_and_experiments_in_a_copy(tmp_path):
    """An import, a frozen stage, a pipeline in a sub-folder; `exp run --temp` and `--queue` leave the project as it was."""
    ours, theirs = (project(tmp_path / name, {"a": [], "b": ["a"]}) for name in ("ours", "theirs"))
    for place in (ours, theirs):
        (place / "source.txt").write_text("from elsewhere")
        run(place, "dvc", "import-url", "-q", "source.txt", "imported.txt")
        stages = {
            "g": {"cmd": "cat imported.txt > g.txt", "deps": ["imported.txt"], "outs": ["g.txt"]},
            "z": {"cmd": "false", "deps": ["g.txt"], "outs": ["z.txt"], "frozen": True},
            "h": {"cmd": "cat g.txt z.txt > h.txt", "deps": ["g.txt", "z.txt"], "outs": ["h.txt"]},
        }
        (place / "sub").mkdir()
        (place / "sub/dvc.yaml").write_text(
            yaml.safe_dump({"stages": {"s": {"cmd": "cat ../h.txt", "deps": ["../h.txt"]}}})
        )
        (place / "z.txt").write_text("frozen")
        whole = yaml.safe_load((place / "dvc.yaml").read_text())
        whole["stages"] |= stages
        (place / "dvc.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
        if place == ours:
            neocog(place, "repro", "--all-pipelines")
        else:
            run(place, "dvc", "repro", "--all-pipelines")
        run(place, "git", "add", "-A")
        run(place, "git", "commit", "-qm", "all")
    for name in ("dvc.lock", "sub/dvc.lock", "imported.txt.dvc", ".gitignore"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    assert "frozen" in (ours / "h.txt").read_text()
    before = (ours / "dvc.lock").read_bytes()
    for how in (["--temp", "-n", "copied"], ["--queue", "-n", "queued"], ["--run-all"]):
        changed = ["-S", "p.rate=3"] if "-n" in how else []
        neocog(ours, "exp", "run", *how, *changed)
    shown = run(ours, "dvc", "exp", "show", "--csv")
    assert "copied" in shown and "queued" in shown
    assert (ours / "dvc.lock").read_bytes() == before and run(ours, "git", "status", "--short").strip() == ""
