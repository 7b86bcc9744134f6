"""No text of a bundle, of params.yaml or of a branch reaches a shell, or is taken for an option."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import yaml
from clones import environment, params_on_digits, set_up
from imports import ROOT

from neocog.bundle import read
from neocog.core.errors import UserError
from neocog.reproduce.git import Project
from pipelines.item import arguments

HOSTILE = (
    "x$(touch pwned)", "x`touch pwned`", "x'; touch pwned; '", 'x"; touch pwned; "', "x\ntouch pwned", "x; touch pwned #",
    "--help", "-x", "../x", "a/b", "a b", "", ".", "x\0", "x:y", "x@y", "\u202ex", "x" * 101, 3, None,
)  # fmt: skip
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundle")
    weights, bias = np.zeros((64, 10), np.float32), np.zeros(10, np.float32)
    return tiny.write(root / "models/compressed/mlp-int8", tiny.digits(root / "prepared"), weights, bias)


@pytest.mark.parametrize("field", ["kind", "name", "architecture"])
def test_a_bundle_whose_names_mean_something_to_a_shell_is_not_read(bundle: Path, field: str) -> None:
    path = bundle / read.CARD
    kept = path.read_text()
    try:
        for text in HOSTILE:
            path.write_text(json.dumps({**json.loads(kept), field: text}))
            with pytest.raises(UserError, match=rf"bundle.json: {field} \(="):
                read.read(bundle)
    finally:
        path.write_text(kept)
    assert read.read(bundle).model == "compressed/mlp-int8"


def test_no_command_of_dvc_yaml_holds_a_name() -> None:
    commands = [stage.get("do", stage)["cmd"] for stage in STAGES.values()]
    assert len(commands) > 10
    assert not [command for command in commands if "$" in command]


def repro(folder: Path, shell: str) -> str:
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", "compress"]
    own = {**environment(folder), "SHELL": shell}
    ended = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert ended.returncode
    return ended.stdout + ended.stderr


@pytest.mark.slow
def test_a_recipe_s_name_in_params_yaml_is_refused_by_plain_dvc_repro_and_not_executed(tmp_path: Path) -> None:
    params = params_on_digits() | {"architectures": {"mlp": {}}}
    steps = {"model": "trained/mlp", "steps": [{"method": "quantize_dynamic"}]}
    folder = set_up(tmp_path / "project", params | {"compress": {HOSTILE[0]: steps}})
    for name in ("data/prepared", "models/trained/mlp"):
        (folder / name).mkdir(parents=True)
    (folder / "src/neocog/architectures/mlp.py").touch()
    said = repro(folder, "/bin/sh")
    assert "the name of a recipe becomes a folder" in said, said
    assert not list(folder.rglob("pwned*"))
    text = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(text.replace("-m pipelines.compress", "-m pipelines.compress ${key}"))
    repro(folder, "/bin/sh")
    assert (folder / "pwned").is_file(), "the control: as a part of the command, it would have been run"


def test_a_stage_takes_its_item_from_dvc_or_from_its_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    for stage, item in {
        "train@resnet": ["resnet"],
        "evaluate_tuned@resnet": ["tuned/resnet"],
        "a@b/dvc.yaml:evaluate_compressed@x-1": ["compressed/x-1"],
        "prepare": [],
        "compress@x$(touch pwned)": ["x$(touch pwned)"],
    }.items():
        monkeypatch.setenv("DVC_STAGE", stage)
        assert arguments() == item
    monkeypatch.setattr(sys, "argv", ["train.py", "vgg"])
    assert arguments() == ["vgg"]


def through_a_shell(text: str) -> list[str]:
    """Calls in Python source that hand a text to a shell."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    found = [ast.unparse(call) for call in calls if any(word.arg == "shell" for word in call.keywords)]
    words = ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput")
    return found + [ast.unparse(call) for call in calls if ast.unparse(call.func) in words]


def test_no_code_calls_a_shell() -> None:
    files = [path for folder in ("src", "pipelines", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    assert not {path: found for path in files if (found := through_a_shell(path.read_text()))}
    assert len(through_a_shell("subprocess.run(x, shell=True)\nos.system(x)")) == 2


def test_a_branch_that_looks_like_an_option_is_a_name(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for name in ("--output=pwned", "-h", "$(touch pwned)", "x\ntouch pwned"):
        with pytest.raises(UserError, match="no commit"):
            Project(tmp_path, "").commit(name)
    assert [path.name for path in tmp_path.iterdir()] == [".git"]
