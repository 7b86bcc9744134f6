"""Images with several labels: from a folder with a CSV, checked strictly, and as grids of real digits."""

from pathlib import Path

import numpy as np
import pytest
from pictures import picture, save

from neocog.core.errors import UserError
from neocog.data.prepare import prepare, summary
from neocog.data.prepared import Prepared, read

SHOWN = {
    f"{folder}/{i:02}.png": i % 8 for folder in ("beach", "town") for i in range(40)
}  # bit k of the number: label k
NAMES = ("people", "sand", "sea")


def table(*, split: bool = False) -> str:
    lines = [f"path,labels{',split' * split}"]
    for number, (path, bits) in enumerate(SHOWN.items()):
        shown = ";".join(name for k, name in enumerate(NAMES) if bits >> k & 1)
        lines.append(f"{path},{shown}" + f",{('train', 'val', 'test')[number % 3]}" * split)
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    for number, path in enumerate(SHOWN):
        (root / path).parent.mkdir(exist_ok=True)
        save(picture(number), root / path)
    (root / "readme.txt").write_text("no image")
    return root


def run(root: Path, target: Path, content: str) -> Prepared:
    (root / "labels.csv").write_text(content, encoding="utf-8")
    return prepare(target, task="multilabel", source="folder", root=root, size=8, workers=1)


def labels(data: Prepared) -> dict[str, set[str]]:
    rows = [row for split in data.counts for row in data.samples(split).to_pylist()]
    return {row["source"]: {data.classes[label] for label in row["labels"]} for row in rows}


def test_every_image_has_the_labels_of_its_row(root: Path, tmp_path: Path) -> None:
    data = run(root, tmp_path / "p", table())
    assert (data.task, data.classes, data.notes) == ("multilabel", NAMES, ())
    assert labels(data) == {path: {n for k, n in enumerate(NAMES) if bits >> k & 1} for path, bits in SHOWN.items()}
    assert sum(map(data.num_images, data.counts)) == len(SHOWN)  # also those without a label
    train = data.split("train")
    assert (train.targets.dtype, train.targets.shape) == (bool, (data.num_images("train"), 3))
    assert data.counts["train"] == dict(zip(NAMES, train.targets.sum(axis=0).tolist(), strict=True))
    assert "multilabel" not in summary(data).splitlines()[1]
    assert read(data.folder).num_images("test") == len(data.split("test").ids)


def test_other_labels_are_another_data_set(root: Path, tmp_path: Path) -> None:
    one = run(root, tmp_path / "one", table())
    other = run(root, tmp_path / "other", table().replace("beach/01.png,people", "beach/01.png,people;sea"))
    assert one.digest != other.digest
    assert one.source_digest != other.source_digest


def test_the_csv_may_name_the_splits(root: Path, tmp_path: Path) -> None:
    data = run(root, tmp_path / "p", table(split=True))
    for number, path in enumerate(SHOWN):
        split = ("train", "val", "test")[number % 3]
        assert path in [row["source"] for row in data.samples(split).to_pylist()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "labels.csv.*No such file"),
        ("", "no column 'path'"),
        ("path,label\nx,y\n", "no column 'labels'; did you mean 'label'"),
        ("path,labels,spilt\nx,y,test\n", "unknown column 'spilt'; did you mean 'split'"),
        ("path,labels\n", "no rows"),
        (table() + "beach/0.png,sea\n", "line 82: 'beach/0.png' is no file of data.root"),
        (table() + "beach/01.png,sea\n", "line 82: 'beach/01.png' was there before"),
        (table().replace("town/07.png,people;sand;sea\n", ""), "no row names town/07.png"),
        (table().replace("people;sand;sea", "people;;sea"), "an empty label in 'people;;sea'"),
        (table().replace("people;sand;sea", "people;sea; sea"), "a label is there twice in 'people;sea; sea'"),
        (table(split=True).replace(",val", ",dev"), "split \\(='dev'\\) is unknown"),
        (table() + "a,b,c\n", "line 82: 3 cells, the header has 2"),
        ("path,labels\n" + "".join(f"{path},\n" for path in SHOWN), "no image has a label"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(root: Path, tmp_path: Path, content: str | None, message: str) -> None:
    (root / "labels.csv").unlink(missing_ok=True)
    with pytest.raises(UserError, match=message) as caught:
        if content is None:
            prepare(tmp_path / "p", task="multilabel", source="folder", root=root, size=8, workers=1)
        else:
            run(root, tmp_path / "p", content)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "p").exists()


def test_copies_with_other_labels_are_refused_both(root: Path, tmp_path: Path) -> None:
    save(picture(0), root / "beach" / "again.png")
    try:
        data = run(root, tmp_path / "p", table() + "beach/again.png,people;sand;sea\n")
    finally:
        (root / "beach" / "again.png").unlink()
    reasons = dict(data.quarantined())
    assert reasons == {
        "beach/00.png": "other labels: same pixels as beach/again.png, which has others",
        "beach/again.png": "other labels: same pixels as beach/00.png, which has others",
    }


def test_grids_show_the_digits_that_their_labels_say_and_no_test_digit_is_trained_on(tmp_path: Path) -> None:
    from neocog.data.sources.digits import digits

    data = prepare(tmp_path / "p", task="multilabel", source="digit_grids", root=tmp_path)
    assert (data.size, data.channels, data.classes) == ((16, 16), 1, tuple("0123456789"))
    single = digits()
    label_of = {image.tobytes(): label for image, label in zip(single.images[..., 0], single.targets, strict=True)}
    cells: dict[str, set[bytes]] = {}
    for name in data.counts:
        split = data.split(name)
        for image, target in zip(split.images[..., 0], split.targets, strict=True):
            parts = [image[y : y + 8, x : x + 8].tobytes() for y in (0, 8) for x in (0, 8)]
            filled = [part for part in parts if any(part)]
            assert {int(label_of[part]) for part in filled} == {*np.flatnonzero(target).tolist()}
            cells.setdefault(name, set()).update(filled)
    assert not cells["test"] & (cells["train"] | cells["val"])
    assert len(cells["train"]) > 1000
    assert sum(map(data.num_images, data.counts)) > 5400
