"""A dvc.lock that was cut off while DVC wrote it, and what a stage needs until dvc.lock names what it made: real DVC, killed for real."""

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from clones import environment, run
from imports import ROOT

from neocog.core import integrity, lockfile

STAGE = """
import os, signal, sys
from pathlib import Path
from neocog.core import errors, resume_state

def stage(name):
    work = Path(".neocog/work") / name
    print(f"{name} goes on" if work.exists() else f"{name} begins", flush=True)
    work.mkdir(parents=True, exist_ok=True)
    Path(f"{name}.txt").write_text(name)
    resume_state.remove(work)

errors.run(stage, sys.argv[1:])
if Path("kill").exists():  # DVC has not heard yet that the stage has ended
    import psutil
    dvc = next(each for each in psutil.Process().parents() if any(word.endswith("/dvc") for word in each.cmdline()))
    dvc.send_signal(signal.SIGKILL)
    dvc.wait(10)
"""
NAMES = ["first", "second", "third"]


def project(folder: Path) -> Path:
    """Three stages in a row that keep working files, under git and DVC."""
    folder.mkdir()
    (folder / "stage.py").write_text(STAGE)
    stages = {
        name: {
            "cmd": f"{sys.executable} stage.py {name}",
            "deps": ["stage.py", *(f"{before}.txt" for before in NAMES[:number][-1:])],
            "outs": [f"{name}.txt"],
        }
        for number, name in enumerate(NAMES)
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, "git", "config", "user.email", "test@example.org")
    run(folder, "git", "config", "user.name", "test")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "before the first run: there is no dvc.lock yet")
    return folder


def repro(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = environment(folder) | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        ["dvc", "repro", *arguments], cwd=folder, env=own, capture_output=True, text=True, check=False
    )


def heal(folder: Path) -> str:
    """What `make repro` does before `dvc repro`."""
    own = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "neocog.orchestration.healing"]
    ended = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=True)
    return ended.stdout + ended.stderr


@pytest.mark.slow
def test_a_stage_that_dvc_has_not_noted_goes_on_and_its_files_go_when_it_has(tmp_path):
    folder = project(tmp_path / "project")
    (folder / "kill").touch()
    assert repro(folder).returncode == -signal.SIGKILL
    assert (folder / ".neocog/work/first").exists() and not (folder / "dvc.lock").exists()
    (folder / "kill").unlink()
    (folder / ".dvc/tmp/rwlock").write_text('{"read": {')
    assert repro(folder).returncode != 0, "the control: with a torn rwlock, every later call fails"
    assert heal(folder) == ""
    ended = repro(folder)
    assert ended.returncode == 0, ended.stderr
    said = [line for line in ended.stdout.splitlines() if line.endswith((" begins", " goes on"))]
    assert said == ["first goes on", "second begins", "third begins"]
    assert [path.name for path in (folder / ".neocog/work").iterdir()] == ["third"], (
        "the next start finds it in dvc.lock"
    )
    heal(folder)
    assert not list((folder / ".neocog/work").iterdir()) and not list((folder / ".neocog/unnoted").iterdir())

    whole, copy = (folder / "dvc.lock").read_text(), (folder / ".neocog/dvc.lock").read_text()
    assert list(yaml.safe_load(copy)["stages"]) == NAMES[:2], "a copy is taken when a stage begins"
    cut = whole.index("  second:")
    assert list(yaml.safe_load(whole[:cut])["stages"]) == NAMES[:1], "the control: valid YAML, a stage forgotten"
    for torn in (whole[:cut], whole[: cut + 40], ""):
        (folder / "dvc.lock").write_text(torn)
        assert "dvc.lock was cut off while DVC wrote it; restored" in heal(folder)
        assert (folder / "dvc.lock").read_text() == copy
    assert "Running stage 'second'" not in repro(folder).stdout
    assert (folder / "dvc.lock").read_text() == whole


@pytest.mark.slow
def test_of_two_dvc_repro_at_once_one_does_the_work_and_the_other_waits_or_says_who_does(tmp_path):
    folder = project(tmp_path / "project")
    own = environment(folder) | {"PYTHONPATH": str(ROOT / "src")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(["dvc", "repro"], cwd=folder, env=own, **pipes) for _ in range(2)]
    said = [each.communicate(timeout=200) for each in both]
    assert 0 in [each.returncode for each in both], said
    for each, (_, errors) in zip(both, said, strict=True):
        assert each.returncode == 0 or "lock" in errors or "blocked by" in errors, errors
    assert repro(folder).returncode == 0
    assert list(yaml.safe_load((folder / "dvc.lock").read_text())["stages"]) == NAMES
    assert [(folder / f"{name}.txt").read_text() for name in NAMES] == NAMES
    assert "Running stage" not in repro(folder).stdout


def lock() -> str:
    """A dvc.lock as DVC writes it for stages with params, several outputs and folders."""
    stages = {
        f"train@{name}": {
            "cmd": f"python -m pipelines.train {name}",
            "deps": [{"path": f"src/{dep}.py", "hash": "md5", "md5": 32 * "a", "size": 9} for dep in "abc"],
            "params": {"params.yaml": {"train": {"lr": 0.1, "betas": [0.9, 0.99]}, f"architectures.{name}": {}}},
            "outs": [
                {"path": f"models/{name}", "hash": "md5", "md5": 32 * "b" + ".dir", "size": 9, "nfiles": 3},
                {"path": f"reports/{name}.json", "hash": "md5", "md5": 32 * "c", "size": 9},
            ],
        }
        for name in ("mlp", "lenet", "resnet")
    }
    from dvc.utils.serialize import dump_yaml

    path = Path("written.lock")
    dump_yaml(path, {"schema": "2.0", "stages": stages})
    return path.read_text()


def test_wherever_dvc_lock_is_cut_nothing_that_the_copy_has_is_lost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = lock()
    assert lockfile.restored(whole, whole) == whole
    lost = 0
    for cut in range(0, len(whole), 11):
        assert lockfile.restored(whole[:cut], whole) == whole, whole[:cut][-60:]
        with suppress(yaml.YAMLError, AttributeError):
            lost += len((yaml.safe_load(whole[:cut]) or {}).get("stages") or {}) in (1, 2)
    assert lost > 3, "the control: these read well, with stages missing"


@pytest.mark.parametrize("changed", ["train@mlp", "train@lenet", "train@resnet", "train@vit"])
def test_of_the_stage_that_had_just_run_the_old_or_the_new_entry_stays_and_all_others(tmp_path, monkeypatch, changed):
    monkeypatch.chdir(tmp_path)
    copy = lock()
    stages = yaml.safe_load(copy)["stages"]
    new = yaml.safe_load(json.dumps(stages["train@mlp"]).replace("b" * 32, "d" * 32).replace('"a"', '"x"'))
    from dvc.utils.serialize import dump_yaml

    dump_yaml("new.lock", {"schema": "2.0", "stages": stages | {changed: new}})
    whole = Path("new.lock").read_text()
    chance = random.Random(0)
    for cut in sorted(chance.sample(range(len(whole)), 40)):
        restored = yaml.safe_load(lockfile.restored(whole[:cut], copy))["stages"]
        assert list(restored)[:3] == list(stages)
        others = {name: entry for name, entry in restored.items() if name != changed}
        assert others == {name: entry for name, entry in stages.items() if name != changed}
        entry = restored.get(changed)
        assert entry is None or entry in (new, stages.get(changed)) or len(entry["outs"]) == 1, "DVC runs it again"


def test_a_lock_of_another_branch_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = lock()
    other = whole.replace("train@mlp", "train@vgg")
    assert lockfile.restored(other, whole) == other
    run(tmp_path, "git", "init", "-q")
    for name, value in (("user.email", "test@example.org"), ("user.name", "test")):
        run(tmp_path, "git", "config", name, value)
    shorter = whole[: whole.index("  train@lenet:")]
    Path("dvc.lock").write_text(shorter)
    integrity.write(lockfile.COPY, whole)
    run(tmp_path, "git", "add", "dvc.lock")
    run(tmp_path, "git", "commit", "-qm", "fewer stages")
    assert heal(tmp_path) == "" and Path("dvc.lock").read_text() == shorter
