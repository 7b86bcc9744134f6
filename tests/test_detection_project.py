"""A new project for detection: `neocog init` writes networks and settings that can be carried out, on digits and on COCO files."""

from pathlib import Path

import pytest
import yaml
from test_detection_data import GOOD, coco

from neocog.core.errors import UserError
from neocog.params import load
from neocog.project import create
from neocog.tasks.task import task


def test_a_new_project_can_be_carried_out(tmp_path: Path) -> None:
    create.create(tmp_path / "scenes", task("detection"), images=None)
    params = yaml.safe_load((tmp_path / "scenes/params.yaml").read_text())
    assert params["data"]["source"] == "digit_scenes"
    assert {*params["architectures"]} == {"ssd", "yolo"}
    load.for_stage("train@yolo", folder=tmp_path / "scenes")


def test_a_project_of_your_own_boxes_is_sized_to_its_images(tmp_path: Path) -> None:
    coco(tmp_path / "raw", GOOD)
    made = create.create(tmp_path / "boxes", task("detection"), images=tmp_path / "raw")
    assert made.found is not None
    assert made.found.files == 8
    params = yaml.safe_load((tmp_path / "boxes/params.yaml").read_text())
    assert params["data"]["source"] == "coco"
    assert (params["data"]["size"], params["data"]["resize"]) == (64, "pad")
    load.for_stage("train@yolo", folder=tmp_path / "boxes")
    (tmp_path / "raw/annotations.json").unlink()
    with pytest.raises(UserError, match=r"no \*.json is here"):
        create.create(tmp_path / "none", task("detection"), images=tmp_path / "raw")
