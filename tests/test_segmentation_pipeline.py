"""Segmentation as a user has it: the example's params in a clone, on a folder of masks, `dvc repro`, answers of the model."""

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

EXAMPLE = ROOT / "examples/segmentation/params.yaml"


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("architectures", {"resnet": {}}, "resnet is for whole images, not for data.task .*unet"),
        ("architectures", {"yolo": {}}, "yolo is for detection"),
        ("data", {"task": "classification", "source": "digits"}, "unet is for segmentation"),
        ("train", {"mixup": 0.2}, "mixup .*set train.mixup: 0.0"),
        ("evaluate", {"tta": "flip"}, "tta"),
        (
            "compress",
            {"d": {"model": "trained/unet", "steps": [{"method": "temperature"}]}},
            "temperature.*not for segmentation",
        ),
    ],
)
def test_what_does_not_suit_segmentation_is_refused_in_a_sentence(
    tmp_path: Path, section: str, values: object, message: str
) -> None:
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    params = yaml.safe_load(EXAMPLE.read_text())
    write_params(tmp_path, params)
    load.for_stage("train@unet", folder=tmp_path)  # the control: the example itself is in order
    if section == "data":
        params["register"].pop("prefer")
    params[section] |= values
    write_params(tmp_path, params)
    with pytest.raises(UserError, match=message):
        load.for_stage("train@unet", folder=tmp_path)


def draw(root: Path) -> None:
    """70 pictures of 32 pixels with a bright or a dark square on gray, and their masks."""
    chance = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number in range(70):
        picture = chance.integers(90, 140, (32, 32), dtype=np.uint8)
        mask = np.zeros((32, 32), np.uint8)
        top, left = chance.integers(0, 18, 2).tolist()
        where = slice(top, top + 14), slice(left, left + 14)
        picture[where], mask[where] = 220 - 200 * (number % 2), 1 + number % 2
        Image.fromarray(picture).save(root / f"images/{number}.png")
        Image.fromarray(mask).save(root / f"masks/{number}.png")
    (root / "classes.csv").write_text("value,class\n0,background\n1,light\n2,dark\n")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example after its first `dvc repro`, on a folder of few small images."""
    params = yaml.safe_load(EXAMPLE.read_text())
    params["data"] |= {"source": "masks", "size": 32, "val_fraction": 0.2, "test_fraction": 0.2}
    params["train"] |= {"epochs": 8, "batch_size": 8, "lr": 0.01, "precision": "32-true", "crop": 4, "threads": 1}
    params["architectures"] = {"unet": {"width": 4, "backbone_sizes": {"widths": [8, 8, 8, 16]}}}
    params["robustness"] |= {"images": 5, "severities": [3]}
    params["benchmark"]["rounds"] = 2
    params["evaluate"]["bootstrap"] = 20
    folder = set_up(tmp_path_factory.mktemp("clone") / "project", params)
    draw(folder / "data/raw")
    commit(folder, "start")
    run(folder, "dvc", "repro")
    return folder


@pytest.mark.slow
def test_the_pipeline_ranks_masks_and_answers_with_them(clone: Path) -> None:
    with (clone / "reports/leaderboard.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert sorted(rows) == ["compressed/unet-int8", "trained/unet"]
    for row in rows.values():
        assert float(row["miou_low"]) <= float(row["miou"]) <= float(row["miou_high"])
        assert {"dice", "pixel_accuracy", "boundary_f"} <= {*row}
    assert float(rows["trained/unet"]["miou"]) > 0.4
    trained, integer = (float(rows[name]["pixel_accuracy"]) for name in ("trained/unet", "compressed/unet-int8"))
    assert abs(trained - integer) < 0.05, "decoding stays float"
    page = (clone / "reports/report.html").read_text()
    assert '<section id="look">' in page
    assert "the worst masks" in page
    folder = clone / "models/trained/unet"
    card = json.loads((folder / "bundle.json").read_text())
    images = np.load(clone / "data/prepared/images.npy", mmap_mode="r")
    Image.fromarray(images[-1, ..., 0]).save(clone / "scene.png")
    (line,) = run(clone, "neocog", "predict", str(folder), "scene.png", "--json", "--top", "20").splitlines()
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    (mask,) = session.run(["mask"], {"images": np.array(images[-1:])})
    assert (mask.dtype, mask.shape) == (np.uint8, (1, 32, 32))
    again = np.full(32 * 32, 255, np.uint8)
    for entry in json.loads(line)["predictions"]:
        for first, count in np.reshape(entry["runs"], (-1, 2)).tolist():
            again[first : first + count] = card["classes"].index(entry["label"])
    np.testing.assert_array_equal(again.reshape(32, 32), mask[0])
