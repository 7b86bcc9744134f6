"""docs/compression.md is what the methods' cards say, no more and no less."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal

import pytest
import yaml
from annotated_types import Gt, Lt
from imports import ROOT

from neocog import architectures, compression
from neocog.cli import handbook
from neocog.compression.chain.goals import goals
from neocog.core.constrained_types import AtLeast1, Fraction
from neocog.tasks.classification.metrics import PRIMARY


def committed() -> str:
    return (ROOT / handbook.PAGE).read_text(encoding="utf-8")


def test_the_file_is_what_is_generated():
    assert committed() == handbook.page(), "write it anew: python -m neocog.cli.handbook"


def test_every_architecture_and_method_has_its_cell_and_every_no_its_reason():
    methods, names = compression.names(), architectures.names()
    lines = [line for line in handbook.page().splitlines() if line.startswith("| ")]
    table = {cells[0]: cells[1:] for line in lines if (cells := [cell.strip() for cell in line.strip("|").split("|")])}
    reasons = dict(re.findall(r"^(\d+)\. (.*)\.$", handbook.page(), re.MULTILINE))
    cells = 0
    for name in names:
        for method, cell in zip(methods, table[name], strict=True):
            reason = compression.card(method).refuses.get(name)
            if reason is None:
                assert cell == "yes", (name, method)
            else:
                assert reasons[re.fullmatch(r"no \((\d+)\)", cell)[1]].lower() == reason.lower(), (name, method)
            cells += 1
    assert cells == len(methods) * len(names) >= 8 * 18
    assert {"yes"} < {cell for name in names for cell in table[name]}


@pytest.mark.parametrize("method", compression.names())
def test_a_method_tells_its_cost_paper_and_all_its_settings(method):
    card = compression.card(method)
    told = handbook.page().partition(f"\n## {method}\n")[2].partition("\n## ")[0]
    assert card.idea in told and card.cost[1:] in told and card.paper.partition(" et al.")[0].split()[0] in told
    assert re.findall(r"^\| `(\w+)`", told, re.MULTILINE) == list(card.settings)
    [suggested] = yaml.safe_load(re.search(r"To begin with: `(.*)`", told)[1])
    assert suggested == {"method": method, **card.suggested}
    compression.check([suggested], where="suggested")


def test_the_recipe_in_the_introduction_holds():
    [recipe] = yaml.safe_load(re.search(r"```yaml\n(.*?)```", handbook.INTRODUCTION, re.DOTALL)[1])["compress"].values()
    compression.check(recipe["steps"], where="recipe")
    assert set(recipe["goals"]) == {field.name for field in fields(goals(PRIMARY))}
    assert all(f"`{goal}`" in handbook.INTRODUCTION for goal in recipe["goals"])
    named = set(re.findall(r"`(\w+)`", handbook.INTRODUCTION))
    assert {"half", "weight_only", "quantize_static"} <= named & set(compression.names())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Annotated[float, Gt(0), Lt(1)], "number > 0, < 1"),
        (AtLeast1, "whole number ≥ 1"),
        (Fraction, "number ≥ 0, ≤ 1"),
        (bool, "true or false"),
        (Literal["2:4", "global", 7], '`"2:4"` or `global` or `7`'),
        (str | None, "word, or null"),
        (Sequence[str], "list of words"),
        (Mapping[str, Any] | None, "block of keys, or null"),
    ],
)
def test_kinds_in_words(kind, words):
    assert handbook.setting(kind) == words


def test_it_is_written_without_torch(tmp_path):
    code = (
        "import runpy, sys; sys.argv = ['', 'page.md']; runpy.run_module('neocog.cli.handbook', run_name='__main__');"
        "print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["page.md", "False"]
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == handbook.page()
