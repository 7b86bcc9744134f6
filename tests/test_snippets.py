"""What README and docs give to paste is right: params that the checks take, overrides that DVC takes, targets that exist.

tests/test_snippets_run.py runs the commands.
"""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from clones import write_params
from dvc.exceptions import DvcException
from imports import ROOT
from snippets import IN_PLACE, Snippet, commands, paste, snippets

from neocog.core.errors import UserError
from neocog.params import load

ALL = snippets()
PARAMS = [each for each in ALL if each.kind == "params"]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
EXPERIMENTS = [each for each in ALL if "dvc exp run -" in each.text]
DVC = '#!/bin/sh\nfor one in "$@"; do printf \'%s\\037\' "$one"; done >> "$SAID"; printf \'\\036\' >> "$SAID"\n'


@pytest.fixture
def shipped():
    """The params of this repository, on digits."""
    found = yaml.safe_load((ROOT / "params.yaml").read_text())
    found["data"]["source"] = "digits"
    return found


def check(folder: Path, values: dict[str, Any]) -> None:
    """What every stage does first."""
    write_params(folder, values)
    (folder / "dvc.yaml").write_text(f"stages: {{report: {{params: {[*values]}}}}}")
    load.for_stage("report", folder=folder)


def test_none_is_missed():
    kinds = [each.kind for each in ALL]
    assert kinds.count("params") >= 6 and kinds.count("shell") >= 90 and len(EXPERIMENTS) >= 10


@pytest.mark.parametrize("snippet", PARAMS, ids=lambda each: each.where)
def test_params_are_right_as_pasted(snippet, shipped, tmp_path):
    check(tmp_path, paste(shipped, snippet.text))


def test_params_that_only_look_right_are_found(shipped, tmp_path):
    with pytest.raises(UserError, match="remove widths"):
        check(tmp_path, paste(shipped, "architectures:\n  resnet:\n    form: resnet50\n"))
    check(tmp_path, paste(shipped, f"architectures:\n  resnet:  {IN_PLACE} the block\n    form: resnet50\n"))


@pytest.mark.parametrize("snippet", EXPERIMENTS, ids=lambda each: each.where)
def test_overrides_of_experiments_are_taken(snippet, shipped, tmp_path, monkeypatch):
    asked = experiments(snippet, tmp_path)
    assert len(asked) >= snippet.text.count("dvc exp run -")
    seen: set[str] = set()
    for arguments in asked:
        values = {each for each in arguments if "=" in each or "@" in each}
        if values - seen or not values:  # of a loop within a loop, as many as name every value
            check_experiment(arguments, shipped, tmp_path, monkeypatch)
        seen |= values


def test_overrides_that_only_look_right_are_found(shipped, tmp_path, monkeypatch):
    wrong = {
        "-S architectures.lenet.pooling=max": DvcException,
        "-S +train.epoch=2": UserError,
        "evaluate@lenett": AssertionError,
    }
    for arguments, error in wrong.items():
        with pytest.raises(error):
            check_experiment(["exp", "run", *arguments.split()], shipped, tmp_path, monkeypatch)


def experiments(snippet: Snippet, folder: Path) -> list[list[str]]:
    """The arguments of every `dvc exp run` of a snippet, whose loops a shell goes through; all else it names is not found."""
    (folder / "bin").mkdir()
    (folder / "bin/dvc").write_text(DVC)
    (folder / "bin/dvc").chmod(0o755)
    said = folder / "said"
    own = {"PATH": str(folder / "bin"), "SAID": str(said), "SCRATCH": "/scratch"}
    subprocess.run([shutil.which("bash"), "-c", snippet.text], cwd=folder, env=own, capture_output=True, check=False)
    called = [call.split("\037")[:-1] for call in said.read_text().split("\036")[:-1]]
    return [call for call in called if call[:2] == ["exp", "run"]]


def check_experiment(arguments: list[str], shipped, folder: Path, monkeypatch) -> None:
    """DVC's own parser and its own way to override params, then the check that every stage makes; targets exist."""
    from dvc.cli.parser import get_main_parser
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import apply_overrides

    asked = get_main_parser().parse_args(arguments)
    grouped = {
        "groups": f"{shipped['data']['root']}/groups.csv"
    }  # what the documents say before they name a column of it
    write_params(folder, shipped | {"data": shipped["data"] | grouped})
    monkeypatch.chdir(folder)
    for path, overrides in to_path_overrides(asked.set_param or []).items():
        apply_overrides(path, overrides)
    values = yaml.safe_load((folder / "params.yaml").read_text())
    check(folder, values)
    for target in asked.targets:
        base, _, name = target.partition("@")
        over = (STAGES[base].get("foreach") or STAGES[base]["matrix"]["name"]).strip("${}").split(".")
        items = values[over[0]] if len(over) == 1 else values[over[0]][over[1]]
        assert name in items, target


def test_targets_and_modules_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [command for each in ALL if each.kind == "shell" for command in commands(each)]
    made = {target for command in named for target in re.findall(r"\bmake ([a-z]+)", command)}
    assert made <= targets and {"repro", "test", "check", "ui", "edge", "env"} <= made
    modules = {module for command in named for module in re.findall(r"\bpython -m ([\w.]+)", command)}
    assert all(find_spec(module) for module in modules) and len(modules) >= 6
    files = {file for command in named for file in re.findall(r"\btests/\w+\.py", command)}
    assert files and all((ROOT / file).is_file() for file in files)
