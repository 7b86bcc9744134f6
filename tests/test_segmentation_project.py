"""A new project for segmentation: `neocog init` writes what can be carried out, on scenes and on masks of one's own."""

from pathlib import Path

import pytest
import yaml
from test_segmentation_data import folder

from neocog.core.errors import UserError
from neocog.params import load
from neocog.project import create
from neocog.tasks.task import task


def test_a_new_project_can_be_carried_out(tmp_path: Path) -> None:
    create.create(tmp_path / "scenes", task("segmentation"), images=None)
    params = yaml.safe_load((tmp_path / "scenes/params.yaml").read_text())
    assert params["data"]["source"] == "digit_scenes"
    assert {*params["architectures"]} == {"unet", "fcn", "deeplab"}
    assert params["register"]["prefer"] == "miou"
    load.for_stage("train@unet", folder=tmp_path / "scenes")


def test_a_project_of_your_own_masks_is_sized_to_its_images(tmp_path: Path) -> None:
    folder(tmp_path / "raw", images=5)
    made = create.create(tmp_path / "masks", task("segmentation"), images=tmp_path / "raw")
    assert made.found is not None
    assert made.found.files == 5
    params = yaml.safe_load((tmp_path / "masks/params.yaml").read_text())
    assert (params["data"]["source"], params["data"]["size"]) == ("masks", 64)
    load.for_stage("train@unet", folder=tmp_path / "masks")
    (tmp_path / "raw/masks").rename(tmp_path / "raw/other")
    with pytest.raises(UserError, match="no image has a mask; segmentation needs"):
        create.create(tmp_path / "none", task("segmentation"), images=tmp_path / "raw")
