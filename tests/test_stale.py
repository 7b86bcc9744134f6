"""What is left of models that params.yaml no longer names, and links that lead nowhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import clones
from imports import ROOT

from pipelines.stale import FOLDERS, KINDS, WRITTEN, remove_stale


def test_the_results_of_models_that_are_not_named_leave_and_nothing_else_does(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    for kind in KINDS:
        for name in ("lenet", "old", "mine"):
            (reports / kind / name).mkdir(parents=True)
            for file in WRITTEN:
                (reports / kind / name / file).write_text(file)
            for each in FOLDERS:
                (reports / kind / name / each).mkdir()
            (reports / kind / name / FOLDERS[0] / "any.csv").touch()
        (reports / kind / "mine" / "notes.md").write_text("mine")
        (reports / kind / ".gitkeep").touch()
    (reports / "leaderboard.csv").touch()
    named = [Path("models") / kind / "lenet" for kind in KINDS]
    left = remove_stale(named, reports=reports)
    assert left == [reports / kind / name for kind in sorted(KINDS) for name in ("mine", "old")]
    for kind in KINDS:
        assert sorted(path.name for path in (reports / kind).iterdir()) == [".gitkeep", "lenet", "mine"]
        assert sorted(path.name for path in (reports / kind / "lenet").iterdir()) == sorted((*WRITTEN, *FOLDERS))
        assert [path.name for path in (reports / kind / "mine").iterdir()] == ["notes.md"]
    assert (reports / "leaderboard.csv").exists()
    assert remove_stale(named, reports=reports) == []


def test_what_leaves_is_what_the_stages_write() -> None:
    dvc = (ROOT / "dvc.yaml").read_text()
    written = set(re.findall(r"reports/(?:trained|\$\{kind\})/\$\{key\}/([\w.]+)", dvc))
    assert len(written) == 7
    assert written == {*WRITTEN, *FOLDERS} - {".gitignore"}


def links(folder: Path) -> subprocess.CompletedProcess[str]:
    """What `make repro` asks before DVC."""
    environment = clones.environment(folder) | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, "-m", "neocog.orchestration.dangling_links"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_links_that_lead_nowhere_are_named_before_dvc_ends_on_them(tmp_path: Path) -> None:
    params = clones.params_on_digits() | {"architectures": {"lenet": {}}}
    params["robustness"]["baseline"] = None
    params["data"] |= {"source": "folder", "root": "data/raw"}
    clones.write_params(tmp_path, params)
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    (tmp_path / "data" / "raw" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "raw" / "cat" / "whole.png").symlink_to(tmp_path / "dvc.yaml")
    assert links(tmp_path).returncode == 0
    (tmp_path / "data" / "raw" / "cat" / "gone.png").symlink_to("nothing")
    named = links(tmp_path)
    assert named.returncode == 2
    assert "holds 1 links to files that are not there, and DVC cannot read them: data/raw/cat/gone.png" in named.stderr
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=tmp_path, check=True)
    assert links(tmp_path).returncode == 2
    (tmp_path / ".dvcignore").write_text("data/raw/cat/gone.png\n")  # the remedy
    assert links(tmp_path).returncode == 0
