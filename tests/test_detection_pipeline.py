"""Detection as a user has it: the example's params in a clone, on digits in place of garments, `dvc repro`, and answers from the model."""

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

EXAMPLE = ROOT / "examples/detection/params.yaml"


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("architectures", {"resnet": {}}, "resnet is for whole images, not for data.task .*yolo"),
        ("data", {"task": "classification", "source": "digits"}, "yolo is for detection"),
        ("train", {"mixup": 0.2}, "mixup .*set train.mixup: 0.0"),
        ("train", {"augment": [{"method": "rotation"}]}, "augment .*set train.augment: \\[\\]"),
        ("evaluate", {"tta": "flip"}, "tta"),
        (
            "compress",
            {"d": {"model": "trained/yolo", "steps": [{"method": "temperature"}]}},
            "temperature.*not for detection",
        ),
    ],
)
def test_what_does_not_suit_detection_is_refused_in_a_sentence(
    tmp_path: Path, section: str, values: object, message: str
) -> None:
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    params = yaml.safe_load(EXAMPLE.read_text())
    write_params(tmp_path, params)
    load.for_stage("train@yolo", folder=tmp_path)  # the control: the example itself is in order
    if section == "data":
        params["register"].pop("prefer")
    params[section] |= values
    write_params(tmp_path, params)
    with pytest.raises(UserError, match=message):
        load.for_stage("train@yolo", folder=tmp_path)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example after its first `dvc repro`, on few digits."""
    params = yaml.safe_load(EXAMPLE.read_text())
    params["data"]["source"] = "digit_scenes"
    params["train"] |= {"epochs": 2, "images": 640, "batch_size": 16, "threads": 1, "precision": "32-true", "crop": 4}
    params["architectures"]["yolo"] |= {"width": 24, "backbone_sizes": {"widths": [8, 16, 24, 32]}}
    params["robustness"] |= {"images": 10, "severities": [3]}
    params["benchmark"]["rounds"] = 3
    params["evaluate"]["bootstrap"] = 20
    folder = set_up(tmp_path_factory.mktemp("clone") / "project", params)
    commit(folder, "start")
    run(folder, "dvc", "repro")
    return folder


@pytest.mark.slow
def test_the_pipeline_ranks_detectors_and_answers_with_boxes(clone: Path) -> None:
    with (clone / "reports/leaderboard.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert sorted(rows) == ["compressed/yolo-int8", "trained/yolo"]
    for row in rows.values():
        assert float(row["map_low"]) <= float(row["map"]) <= float(row["map_high"])
        assert {"ap50", "ap75", "ar"} <= {*row}
    trained, integer = (float(rows[name]["ap50"]) for name in ("trained/yolo", "compressed/yolo-int8"))
    assert abs(trained - integer) < 0.1, "decoding stays float"
    page = (clone / "reports/report.html").read_text()
    assert '<section id="look">' in page
    assert "with an object missed" in page
    folder = clone / "models/trained/yolo"
    card = json.loads((folder / "bundle.json").read_text())
    images = np.load(clone / "data/prepared/images.npy", mmap_mode="r")
    Image.fromarray(images[-1]).save(clone / "scene.png")
    (line,) = run(clone, "neocog", "predict", str(folder), "scene.png", "--json", "--top", "10").splitlines()
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    detections, count = session.run(["detections", "count"], {"images": np.array(images[-1:])})
    assert (detections[0, :, 4] > 0).sum() == count[0]
    sure = int((detections[0, :, 4] >= card["threshold"]).sum())
    said = json.loads(line)["predictions"]
    assert [entry["score"] for entry in said] == pytest.approx(detections[0, : min(10, sure), 4].tolist(), abs=1e-5)
    assert all(len(entry["box"]) == 4 and entry["label"] in card["classes"] for entry in said)
