"""Several labels an image, as a user has it: the example's params in a clone, `dvc repro`, and answers from the model."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from clones import commit, run, set_up, write_params
from imports import ROOT
from PIL import Image

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


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example after its first `dvc repro`, with one network and fewer epochs."""
    params = yaml.safe_load(EXAMPLE.read_text())
    params["architectures"] = {"resnet": params["architectures"]["resnet"]}
    params["train"]["epochs"] = 3
    params["robustness"] |= {"images": 20, "severities": [3]}
    params["benchmark"]["rounds"] = 3
    folder = set_up(tmp_path_factory.mktemp("clone") / "project", params)
    commit(folder, "start")
    run(folder, "dvc", "repro")
    return folder


@pytest.mark.slow
def test_the_leaderboard_ranks_by_mean_average_precision(clone: Path) -> None:
    with (clone / "reports/leaderboard.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert sorted(rows) == ["compressed/resnet-int8", "trained/resnet"]
    for row in rows.values():
        assert float(row["map_low"]) <= float(row["map"]) <= float(row["map_high"])
        assert float(row["map"]) > 0.7  # chance is 0.22
        assert "top1" not in row
    page = (clone / "reports/report.html").read_text()
    assert '<section id="look">' in page
    assert "with a label missed" in page


@pytest.mark.slow
def test_a_model_answers_the_labels_above_their_thresholds(clone: Path) -> None:
    folder = clone / "models/compressed/resnet-int8"
    card = json.loads((folder / "bundle.json").read_text())
    assert len(card["thresholds"]) == 10
    assert "temperature" not in card
    images = np.load(clone / "data/prepared/images.npy", mmap_mode="r")
    Image.fromarray(images[-1][..., 0]).save(clone / "grid.png")
    (line,) = run(clone, "neocog", "predict", str(folder), "grid.png", "--json", "--top", "10").splitlines()
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    (said,) = session.run(["probabilities"], {"images": np.array(images[-1:])})[0]
    above = {name for name, p, least in zip(card["classes"], said, card["thresholds"], strict=True) if p >= least}
    assert {entry["label"] for entry in json.loads(line)["predictions"]} == above
