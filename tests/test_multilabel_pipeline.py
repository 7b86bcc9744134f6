"""The params of the example of several labels, and networks that learn one label only (its pipeline: test_remote.py)."""

from pathlib import Path

import pytest
import yaml
from clones import write_params
from imports import ROOT

from neocog.core.errors import UserError
from neocog.params import load

EXAMPLE = ROOT / "examples/multilabel/params.yaml"


@pytest.mark.parametrize("name", ["perceptron", "adaline", "madaline", "svm"])
def test_networks_with_a_rule_of_their_own_are_for_one_label(tmp_path: Path, name: str) -> None:
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    params = yaml.safe_load(EXAMPLE.read_text())
    write_params(tmp_path, params)
    load.for_stage("train@resnet", folder=tmp_path)  # the control: the example itself is in order
    params["architectures"][name] = {}
    write_params(tmp_path, params)
    with pytest.raises(
        UserError, match=f"architectures.{name}: {name} learns by its own rule, which is for classification"
    ):
        load.for_stage("train@resnet", folder=tmp_path)
