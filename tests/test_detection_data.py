"""Boxes from the source to the network: COCO files and what is refused of them, geometry that keeps boxes on their objects, decoding."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog.core.errors import UserError
from neocog.data.decoding.resize import to_row
from neocog.data.prepare import prepare
from neocog.tasks.detection import decode, objective, targets
from neocog.tasks.detection.geometry import resized
from neocog.tasks.detection.transforms import move


def coco(root: Path, annotations: list[dict[str, Any]], *, images: int = 8, name: str = "annotations.json") -> None:
    """A COCO file of `images` pictures of 40 x 30 pixels, each with a bright rectangle, and their files."""
    root.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    for number in range(images):
        pixels = chance.integers(0, 60, (30, 40, 3), dtype=np.uint8)
        pixels[5:15, 10:30] = 250 - number
        Image.fromarray(pixels).save(root / f"{number}.png")
    document = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": 30, "width": 40} for n in range(images)],
        "categories": [{"id": 0, "name": "cat"}, {"id": 7, "name": "dog"}],
        "annotations": [{"id": n, **each} for n, each in enumerate(annotations)],
    }
    (root / name).write_text(json.dumps(document))


GOOD = [{"image_id": n, "category_id": 7 * (n % 2), "bbox": [10, 5, 20, 10]} for n in range(7)]  # and none on the last
FAULTS = {
    "zero area": {"image_id": 0, "category_id": 0, "bbox": [3, 3, 0, 5]},
    "out of the image": {"image_id": 0, "category_id": 0, "bbox": [50, 3, 5, 5]},
    "unknown class": {"image_id": 0, "category_id": 3, "bbox": [3, 3, 5, 5]},
    "duplicate": GOOD[0],
    "annotation without image": {"image_id": 99, "category_id": 0, "bbox": [3, 3, 5, 5]},
    "crowd": {"image_id": 0, "category_id": 0, "bbox": [3, 3, 5, 5], "iscrowd": 1},
    "no box": {"image_id": 0, "category_id": 0, "bbox": [3, 3, 5]},
}


def prepared(tmp_path: Path, **how: Any) -> Any:
    return prepare(
        tmp_path / "prepared",
        source="coco",
        task="detection",
        root=tmp_path / "raw",
        val_fraction=0.25,
        test_fraction=0.25,
        **how,
    )


def test_every_annotation_that_cannot_be_used_is_named_and_its_image_stays(tmp_path: Path) -> None:
    coco(tmp_path / "raw", [*GOOD, *FAULTS.values()])
    data = prepared(tmp_path, size=[30, 40])
    assert sum(data.num_images(split) for split in ("train", "val", "test")) == 8
    found = dict(data.quarantined())
    assert found.keys() == {f"annotations.json#annotation {n}" for n in range(len(GOOD), len(GOOD) + len(FAULTS))}
    assert {reason.split(":")[0] for reason in found.values()} == {*FAULTS}
    assert any("1 images have no annotation and are kept as background" in note for note in data.notes)
    whole = [data.split(split).targets for split in ("train", "val", "test")]
    assert sum(int((part[..., 4] >= 0).sum()) for part in whole) == len(GOOD)
    assert data.classes == ("cat", "dog")
    with pytest.raises(UserError, match="annotation"):
        prepared(tmp_path, size=[30, 40], on_bad="stop")


def test_boxes_of_a_missing_image_and_a_root_without_coco_are_told(tmp_path: Path) -> None:
    coco(tmp_path / "raw", GOOD)
    (tmp_path / "raw/3.png").unlink()
    data = prepared(tmp_path)
    assert {reason.split(":")[0] for _, reason in data.quarantined()} == {"missing file", "annotation without image"}
    (tmp_path / "raw/annotations.json").unlink()
    with pytest.raises(UserError, match="no COCO file"):
        prepared(tmp_path)


def voc(root: Path, images: int = 8) -> None:
    """The pictures of `coco` with VOC's files: their boxes, and on the first one more of each fault."""
    coco(root / "JPEGImages", [], images=images)
    (root / "JPEGImages/annotations.json").unlink()
    faults = [("cat", "4 4 3 8"), ("cat", "50 4 60 8"), ("cat", "11 6 30 15"), ("", "1 1 9 9"), ("cat", "1 1 9")]
    (root / "Annotations").mkdir()
    for number in range(images):
        rows = [("dog" if number % 2 else "cat", "11 6 30 15"), *(faults if number == 0 else ())]
        objects = "".join(
            f"<object><name>{label}</name><bndbox>"
            + "".join(
                f"<{side}>{value}</{side}>"
                for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=False)
            )
            + "</bndbox></object>"
            for label, box in rows
        )
        text = f"<annotation><filename>{number}.png</filename><size><width>40</width><height>30</height></size>{objects}</annotation>"
        (root / f"Annotations/{number}.xml").write_text(text)
    (root / "Annotations/lost.xml").write_text("<annotation><filename>lost.png</filename></annotation>")
    (root / "Annotations/torn.xml").write_text("<annotation>")


def yolo(root: Path, images: int = 8) -> None:
    """The same with YOLO's text files."""
    coco(root / "images", [], images=images)
    (root / "images/annotations.json").unlink()
    (root / "labels").mkdir()
    (root / "classes.txt").write_text("cat\ndog\n")
    for number in range(images - 1):
        lines = [f"{number % 2} 0.5 0.33333333 0.5 0.33333333"]
        if number == 0:
            lines += ["0 0.5 0.5 0 0.1", "0 2 2 0.1 0.1", lines[0], "7 0.5 0.5 0.1 0.1", "0 0.5 0.5"]
        (root / f"labels/{number}.txt").write_text("\n".join(lines))
    (root / "labels/lost.txt").write_text("0 0.5 0.5 0.1 0.1")


@pytest.mark.parametrize(
    ("source", "make", "more"),
    [("voc", voc, {"no VOC file"}), ("yolo_txt", yolo, set())],
)
def test_boxes_of_other_formats_are_those_of_coco(tmp_path: Path, source: str, make: Any, more: set[str]) -> None:
    make(tmp_path / "raw")
    data = prepare(
        tmp_path / "prepared",
        source=source,
        task="detection",
        root=tmp_path / "raw",
        val_fraction=0.25,
        test_fraction=0.25,
        size=[30, 40],
    )
    faults = {
        "zero area",
        "out of the image",
        "duplicate",
        "unknown class",
        "no box",
        "annotation without image",
    } | more
    assert {reason.split(":")[0] for _, reason in data.quarantined()} == faults
    assert data.classes == ("cat", "dog")
    rows = np.concatenate(
        [part[part[..., 4] >= 0] for part in (data.split(split).targets for split in ("train", "val", "test"))]
    )
    assert len(rows) == (8 if source == "voc" else 7)
    np.testing.assert_allclose(rows[:, :4], np.tile([10, 5, 30, 15], (len(rows), 1)), atol=0.01)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(32, 32), (20, 48), (64, 40)])
def test_a_resized_box_lies_where_its_object_is(resize: str, size: tuple[int, int]) -> None:
    pixels = np.zeros((60, 80, 3), np.uint8)
    box = np.array([[24.0, 18.0, 56.0, 42.0]])
    pixels[18:42, 24:56] = 255
    row = to_row(Image.fromarray(pixels), size=size, channels=3, resize=resize, padding=(0, 0, 0))
    rows, columns = (np.flatnonzero(row[..., 0].max(axis=axis) > 127) for axis in (1, 0))
    (found,) = resized(box, (60, 80), size, resize=resize)
    inside = np.clip(found, 0, [size[1], size[0], size[1], size[0]])
    np.testing.assert_allclose(inside, [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], atol=1.01)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 1.0]), st.integers(0, 12))
def test_a_moved_box_still_encloses_its_object(seed: int, flip: float, crop: int) -> None:
    chance = np.random.default_rng(seed)
    left, top = chance.integers(0, 20, 2)
    wide, high = chance.integers(2, 12, 2)
    image = torch.zeros(1, 32, 32, 1, dtype=torch.uint8)
    image[0, top : top + high, left : left + wide] = 255
    boxes = torch.tensor([[[left, top, left + wide, top + high, 3.0], [0, 0, 0, 0, -1.0]]])
    torch.manual_seed(seed)
    moved, found = move(image, boxes, flip=flip, crop=crop)
    bright = moved[0, ..., 0].nonzero()
    x1, y1, x2, y2, label = found[0, 0].tolist()
    assert found[0, 1, 4] == -1
    if label == -1:
        return  # less than a quarter of it is left
    seen = bright[(bright[:, 0] >= y1) & (bright[:, 0] < y2) & (bright[:, 1] >= x1) & (bright[:, 1] < x2)]
    assert len(seen) == (x2 - x1) * (y2 - y1) > 0, "the box is full of its object"
    if min(left, top) > 0:  # else what is repeated of the border is its object, too
        assert len(seen) == len(bright)


def test_columns_keep_the_targets() -> None:
    rows = targets.padded(
        [np.array([[1, 2, 3, 4, 0], [5, 6, 7.5, 8.25, 2]]), np.zeros((0, 5)), np.array([[0, 0, 9, 9, 1]])]
    )
    import pyarrow

    again = targets.of(pyarrow.table(targets.columns(rows)), classes=3)
    np.testing.assert_array_equal(again, rows)
    assert targets.counts(rows, classes=3).tolist() == [1, 1, 1]
    fewer, remain = targets.without(rows, np.array([True, False, False]))
    assert targets.present_classes(fewer) == [(1,), (), (0,)]
    assert remain.all()


@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_that_of_torchvision(seed: int) -> None:
    from torchvision.ops import batched_nms

    draw = torch.Generator().manual_seed(seed)
    corner = torch.rand(2, 150, 2, generator=draw) * 60
    boxes = torch.cat([corner, corner + 10 + torch.rand(2, 150, 2, generator=draw) * 30], dim=-1)
    scores = torch.rand(2, 150, generator=draw).sort(descending=True).values
    labels = torch.randint(0, 3, (2, 150), generator=draw)
    keep = decode.kept(boxes, labels, scores)
    for image in range(2):
        expected = batched_nms(boxes[image], scores[image], labels[image], decode.MAX_IOU)
        assert keep[image].nonzero()[:, 0].tolist() == expected.sort().values.tolist()
        assert len(expected) < 150


def test_the_loss_falls_to_nothing_where_the_outputs_are_the_targets() -> None:
    wanted = torch.tensor([[[10, 10, 30, 34, 1], [40, 8, 60, 40, 0]], [[0, 0, 0, 0, -1], [0, 0, 0, 0, -1]]]).float()
    x = (torch.arange(16) + 0.5) * 4
    points = torch.stack([x.repeat(16), x.repeat_interleave(16)], dim=-1)
    priors = torch.cat([points, points], dim=-1)
    heat, weight, boxes = objective.assign(priors, wanted, classes=3)
    assert (heat == 1).sum().item() == 2
    assert weight[1].sum() == 0
    logits = torch.where(heat == 1, 12.0, -12.0)
    perfect = torch.cat([priors.expand(2, -1, -1), boxes, logits], dim=-1)
    nothing = torch.cat(
        [priors.expand(2, -1, -1), priors.expand(2, -1, -1) + torch.tensor([0, 0, 1, 1]), -logits], dim=-1
    )
    good, bad = objective.loss(perfect, wanted), objective.loss(nothing, wanted)
    assert good < 0.01
    assert bad > 1
    each = objective.loss(nothing, wanted, reduction="none")
    assert float(each.mean()) == pytest.approx(float(bad), rel=1e-5)
    found = objective.means(objective.sums(perfect, wanted) + objective.sums(perfect, wanted))
    assert found["map"] == pytest.approx(1.0)
    assert objective.means(objective.sums(nothing, wanted))["map"] < 0.1


def test_a_graph_without_any_object_gives_a_count_of_zero() -> None:
    priors = torch.zeros(2, 30, 4)
    outputs = torch.cat([priors, priors + torch.tensor([0, 0, 5, 5]), torch.full((2, 30, 4), -20.0)], dim=-1)
    detections, count = decode.Decode()(outputs)
    assert detections.shape == (2, 100, 6)
    assert not detections.any()
    assert count.tolist() == [0, 0]
