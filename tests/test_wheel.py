"""The wheel, in an environment of its own: it holds all that the clone runs, and a project on it is as good as a clone."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from imports import ROOT
from PIL import Image
from sklearn.datasets import load_digits

from neocog.project import code

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Installed:
    """A virtual environment with neocog's wheel; the packages that it needs are those of this environment."""

    folder: Path

    @property
    def packages(self) -> Path:
        [found] = self.folder.glob("lib/python*/site-packages")
        return found

    def run(self, where: Path, *command: str) -> str:
        """What a command says in `where`; a failure shows all it said."""
        path = os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        who = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        own = {**os.environ, **who, "PATH": path, "DVC_NO_ANALYTICS": "1"}
        for name in ("PYTHONPATH", "MLFLOW_TRACKING_URI"):
            own.pop(name, None)
        ended = subprocess.run(command, cwd=where, env=own, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def edit(self, name: str) -> None:
        """Add a comment to an installed file."""
        path = self.packages / name
        path.write_text(path.read_text() + "# edited\n")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Installed:
    """The wheel built from what git has of this clone."""
    folder = tmp_path_factory.mktemp("wheel")
    clone, found = folder / "clone", Installed(folder / "environment")
    names = found.run(
        ROOT, "git", "ls-files", "-co", "--exclude-standard", "src", "pipelines", ".dvc", "*.*"
    ).splitlines()
    for name in [
        name for name in names if not name.startswith(("tests/", "docs/", "reports/", "models/", "benchmarks/"))
    ]:
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name, follow_symlinks=False)
    for name in ("LICENSE", ".gitignore", ".dvcignore"):
        shutil.copy2(ROOT / name, clone / name)
    build = (
        "build",
        "--quiet",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        str(folder),
    )
    found.run(clone, "uv", *build)
    found.run(folder, sys.executable, "-m", "venv", "--without-pip", str(found.folder))
    [wheel] = folder.glob("*.whl")
    install = (
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--link-mode",
        "copy",
        "--python",
        str(found.folder / "bin/python"),
    )
    found.run(folder, "uv", *install, str(wheel))
    (found.packages / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return found


def test_the_wheel_holds_every_file_that_the_clone_runs(installed):
    assert not (installed.packages / "neocog/__pycache__").exists()
    code_of_clone = {"neocog": ROOT / "src/neocog", "pipelines": ROOT / "pipelines"}
    for name, folder in code_of_clone.items():
        ours, theirs = (
            {path.relative_to(each).as_posix() for path in each.rglob("*") if path.is_file() and path.suffix != ".pyc"}
            for each in (folder, installed.packages / name)
        )
        assert ours == theirs
        assert code.digest(folder) == code.digest(installed.packages / name)
    (installed.packages / "neocog/core/extra.py").write_text("")
    assert code.digest(code_of_clone["neocog"]) != code.digest(installed.packages / "neocog"), "the control"
    (installed.packages / "neocog/core/extra.py").unlink()


def test_a_project_beside_the_wheel(installed, tmp_path):
    images, project = tmp_path / "grüne Ziffern", tmp_path / "my project"
    digits = load_digits(n_class=3)
    for i, (pixels, label) in enumerate(zip(digits.images[:150], digits.target, strict=False)):
        (images / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype("uint8")).save(images / str(label) / f"{i}.png")
    installed.run(tmp_path, "neocog", "init", project.name, "--data", images.name)
    assert not (project / "src").exists() and not (project / "pipelines").exists()
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["train"] |= {"epochs": 1}
    params["architectures"] = {"perceptron": {"label_smoothing": 0.0}, "mlp": {}}
    params["compress"] = {"small": {"model": "trained/mlp", "steps": [{"method": "quantize_dynamic"}], "goals": {}}}
    params["benchmark"]["rounds"] = 3
    params["robustness"] |= {"images": 4, "severities": [1]}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    installed.run(project, "neocog", "repro")
    assert (project / "reports/report.html").is_file() and (project / "mlflow.db").is_file()
    assert "train@mlp" in (project / "reports/pipeline.html").read_text(encoding="utf-8"), "the timeline"
    installed.run(project, "git", "add", "-A")
    assert "report.html" not in installed.run(project, "git", "status", "--porcelain")
    assert not [
        name for name in installed.run(project, "git", "ls-files").splitlines() if name.endswith((".onnx", ".png"))
    ]
    installed.run(project, "git", "commit", "-qm", "Run")
    again = installed.run(project, "dvc", "repro")
    ran = [line for line in again.splitlines() if line.startswith("Running stage")]
    assert ran == ["Running stage 'code':"], "all else is as it was"

    def stale(*edited: str) -> set[str]:
        before = {name: (installed.packages / name).read_text() for name in edited}
        for name in edited:
            installed.edit(name)
        installed.run(project, "dvc", "repro", "code")
        status = installed.run(project, "dvc", "status", "--json")
        for name, text in before.items():
            (installed.packages / name).write_text(text)
        return set(json.loads(status.strip().splitlines()[-1])) - {"code"}

    read_only = ("neocog/cli/main.py", "neocog/params/checks.py")  # change no output
    assert stale("neocog/report/page.py", "pipelines/audit.py", *read_only) == {"report", "audit"}
    assert stale("neocog/training/fit.py") == {"train@perceptron", "train@mlp", "compress@small"}
    assert stale() == set()

    answer = installed.run(project, "neocog", "predict", "models/trained/mlp", str(images / "0/0.png"))
    assert "0.png" in answer
    assert "identical" in installed.run(project, "neocog", "reproduce", "models/trained/mlp")
