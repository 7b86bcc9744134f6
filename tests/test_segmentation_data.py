"""Masks from the source to the network: folders of masks and what is refused of them, run lengths, geometry, decoding and the loss."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from neocog.core.errors import UserError
from neocog.data.prepare import prepare
from neocog.tasks.detection.sources import digit_scenes as boxes
from neocog.tasks.segmentation import IGNORED, decode, objective, run_lengths, targets
from neocog.tasks.segmentation.sources import digit_scenes as masks
from neocog.tasks.segmentation.transforms import move


def folder(root: Path, *, images: int = 14, table: str | None = "value,class\n0,ground\n3,cat\n9,dog\n") -> None:
    """Pictures of 40 x 30 pixels with a bright rectangle, which their masks call 3 or 9, and a border that they ignore."""
    chance = np.random.default_rng(0)
    for number in range(images):
        pixels = chance.integers(0, 60, (30, 40, 3), dtype=np.uint8)
        pixels[5:15, 10:30] = 250 - number
        mask = np.zeros((30, 40), np.uint8)
        mask[5:15, 10:30] = 9 if number % 2 else 3
        mask[:, :2] = IGNORED
        for kind, content in (("images/a", pixels), ("masks/a", mask)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(content)
            if kind == "masks/a" and number % 3 == 0:
                picture.putpalette(chance.integers(0, 256, 768).astype(np.uint8).tobytes())
            picture.save(root / kind / f"{number}.png")
    if table is not None:
        (root / "classes.csv").write_text(table)


def prepared(tmp_path: Path, **how: Any) -> Any:
    how = {"size": [30, 40], "val_fraction": 0.3, "test_fraction": 0.3} | how
    return prepare(tmp_path / "prepared", source="masks", task="segmentation", root=tmp_path / "raw", **how)


def test_masks_of_a_folder_are_read_with_or_without_a_palette(tmp_path: Path) -> None:
    folder(tmp_path / "raw")
    data = prepared(tmp_path)
    assert data.classes == ("ground", "cat", "dog")
    assert not data.quarantined()
    for part in map(data.split, ("train", "val", "test")):
        bright = np.asarray(part.images)[..., 0] > 200
        np.testing.assert_array_equal(bright, np.isin(part.targets, (1, 2)))
        assert (part.targets[:, :, :2] == IGNORED).all()
        assert part.targets.dtype == np.uint8
    (tmp_path / "raw/classes.csv").unlink()
    assert prepared(tmp_path).classes == ("0", "3", "9")


def test_every_mask_that_cannot_be_used_is_named_and_so_is_its_image(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    folder(raw, images=13)
    Image.fromarray(np.zeros((29, 40), np.uint8)).save(raw / "masks/a/0.png")
    Image.fromarray(np.full((30, 40), 4, np.uint8)).save(raw / "masks/a/1.png")
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(raw / "masks/a/2.png")
    (raw / "masks/a/3.png").write_bytes(b"no picture")
    (raw / "masks/a/4.png").unlink()
    (raw / "images/a/5.png").unlink()
    (raw / "images/a/6.png").write_bytes(b"no picture")
    data = prepared(tmp_path)
    found = {path: reason.split(":")[0] for path, reason in data.quarantined()}
    assert found == {
        "masks/a/0.png": "mask of another size",
        "masks/a/1.png": "unknown class",
        "masks/a/2.png": "mask in colour",
        "masks/a/3.png": "unreadable mask",
        "images/a/4.png": "image without mask",
        "masks/a/5.png": "mask without image",
        "images/a/6.png": found["images/a/6.png"],
    }
    assert sum(data.num_images(split) for split in ("train", "val", "test")) == 6
    with pytest.raises(UserError, match="mask of another size"):
        prepared(tmp_path, on_bad="stop")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("value,class\n0,a\n255,b\n", "line 3: value .='255'. must be a number from 0 to 254"),
        ("value,class\n0,a\n1,a\n", "line 3: .*was there before"),
        ("number,class\n0,a\n", "value"),
    ],
)
def test_a_wrong_table_of_classes_is_told(tmp_path: Path, table: str, message: str) -> None:
    folder(tmp_path / "raw", images=2, table=table)
    with pytest.raises(UserError, match=message):
        prepared(tmp_path)


def test_a_folder_without_masks_is_told(tmp_path: Path) -> None:
    (tmp_path / "raw/images").mkdir(parents=True)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "raw/images/1.png")
    with pytest.raises(UserError, match=r"no image has a mask.*image without mask: masks/1\.png"):
        prepared(tmp_path)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(32, 32), (20, 48)])
def test_a_resized_mask_lies_on_its_object(tmp_path: Path, resize: str, size: tuple[int, int]) -> None:
    folder(tmp_path / "raw")
    data = prepared(tmp_path, size=list(size), resize=resize, interpolation="nearest", background="black")
    part = data.split("train")
    bright = np.asarray(part.images)[..., 0] > 200
    judged = part.targets != IGNORED
    np.testing.assert_array_equal(bright & judged, np.isin(part.targets, (1, 2)))
    assert bright.any()


@settings(max_examples=80, deadline=None)
@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
        elements=st.sampled_from([0, 1, 7, 255]),
    )
)
def test_run_lengths_give_the_mask_back(found: np.ndarray) -> None:
    table = pyarrow.table(targets.columns(found), schema=pyarrow.schema([("mask", pyarrow.list_(pyarrow.int64()))]))
    np.testing.assert_array_equal(targets.of(table, classes=8), found)
    np.testing.assert_array_equal(targets.of(table.slice(1), classes=8).ravel(), found[1:].ravel())
    for label in np.unique(found[0]).tolist():
        again = np.zeros(found[0].size, bool)
        for first, count in np.reshape(run_lengths.runs_of(found[0], label), (-1, 2)).tolist():
            again[first : first + count] = True
        np.testing.assert_array_equal(again.reshape(found[0].shape), found[0] == label)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 9))
def test_image_and_mask_move_together(seed: int, flip: float, crop: int) -> None:
    torch.manual_seed(seed)
    labels = torch.randint(0, 200, (3, 12, 17), dtype=torch.uint8)
    moved, found = move(labels[..., None].repeat(1, 1, 1, 2), labels, flip=flip, crop=crop)
    judged = found != IGNORED
    assert torch.equal(moved[..., 0][judged], found[judged])
    assert judged.all() == (crop == 0) or crop
    assert torch.equal(moved[..., 0], moved[..., 1])
    assert judged.flatten(1).sum(1).min() >= (12 - crop) * (17 - crop)


def test_masks_of_scenes_lie_in_the_boxes_of_the_same_scenes() -> None:
    ours, theirs = masks.read(Path()), boxes.read(Path())
    np.testing.assert_array_equal(ours.images[:50], theirs.images[:50])
    assert ours.classes == ("background", *theirs.classes)
    for mask, rows in zip(ours.targets[:50], theirs.targets[:50], strict=True):
        own = rows[rows[:, 4] >= 0]
        assert {*np.unique(mask).tolist()} - {0} <= {int(label) + 1 for label in own[:, 4]}
        inside = np.zeros_like(mask, bool)
        for x1, y1, x2, y2, _ in own.astype(int).tolist():
            inside[y1:y2, x1:x2] = True
        assert not mask[~inside].any()
        assert mask.any() == bool(len(own))


def test_targets_are_counted_and_dropped_by_class() -> None:
    found = np.array([[[0, 0], [2, IGNORED]], [[1, 1], [0, 1]]], np.uint8)
    assert targets.present_classes(found) == [(0, 2), (0, 1)]
    assert targets.counts(found, classes=3).tolist() == [2, 1, 1]
    fewer, remain = targets.without(found, np.array([False, True, False]))
    assert fewer.tolist() == [[[0, 0], [1, IGNORED]], [[IGNORED, IGNORED], [0, IGNORED]]]
    assert remain.all()
    assert targets.strata(found, classes=("a", "b", "c"))[0].tolist() == [2, 1]


def test_the_loss_is_cross_entropy_of_the_pixels_that_are_not_ignored() -> None:
    torch.manual_seed(0)
    outputs, wanted = torch.randn(2, 4, 5, 6), torch.randint(0, 4, (2, 5, 6), dtype=torch.uint8)
    each = objective.loss(outputs, wanted, reduction="none")
    dice = objective.dice_loss(outputs, wanted.long(), torch.ones_like(wanted, dtype=torch.bool))
    torch.testing.assert_close(each[1], F.cross_entropy(outputs[1:], wanted[1:].long()) + dice[1])
    torch.testing.assert_close(objective.loss(outputs, wanted), each.mean())
    ignored = wanted.clone()
    ignored[:, 2:] = IGNORED
    torch.testing.assert_close(objective.loss(outputs, ignored), objective.loss(outputs[:, :, :2], wanted[:, :2]))
    assert objective.loss(outputs, torch.full_like(wanted, IGNORED), focal=1.0) == 0
    weighed = objective.loss(outputs, wanted, class_weights=torch.tensor([2.0, 2, 2, 2]))
    torch.testing.assert_close(weighed, 2 * (each - dice).mean() + dice.mean())
    assert objective.loss(outputs, wanted, focal=2.0) < each.mean()
    sure = F.one_hot(wanted.long(), 4).movedim(-1, 1) * 40.0
    assert objective.loss(sure, wanted) < 1e-5
    probabilities, own = outputs.softmax(dim=1)[0], F.one_hot(wanted[0].long(), 4).movedim(-1, 0)
    shared = [2 * (p * o).sum() / (p.sum() + o.sum()) for p, o in zip(probabilities, own, strict=True) if o.any()]
    torch.testing.assert_close(dice[0], 1 - torch.stack(shared).mean())


def test_the_decoding_takes_the_likeliest_class() -> None:
    outputs = torch.randn(2, 5, 3, 4)
    found = decode.Decode()(outputs)
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), outputs.numpy().argmax(axis=1))
