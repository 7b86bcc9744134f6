"""Splits that people ask for: whole groups, a file that fixes them, and what becomes of small classes."""

import hashlib
import random
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import class_folders, picture, save

from neocog.core.errors import UserError
from neocog.data.group_splits import assign_groups
from neocog.data.prepare import prepare
from neocog.data.prepared import Prepared
from neocog.data.splits import assign

FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}
Image = tuple[str, str | None, int]  # hash, group, class
images = st.lists(
    st.tuples(
        st.integers(0, 30).map(lambda i: hashlib.sha256(bytes([i])).hexdigest()),
        st.one_of(st.none(), st.integers(0, 8).map(str)),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=60,
)


def cut(data: list[Image]) -> list[str]:
    return assign_groups(
        [group for _, group, _ in data],
        [sha for sha, _, _ in data],
        [(label,) for _, _, label in data],
        fractions=FRACTIONS,
    )


@settings(deadline=None)
@given(images)
def test_a_group_and_the_copies_of_an_image_lie_in_one_split_and_every_class_in_train(data: list[Image]) -> None:
    splits = cut(data)
    of: dict[str, set[str]] = defaultdict(set)
    for (sha, group, _), split in zip(data, splits, strict=True):
        of[sha].add(split)
        of[group or sha].add(split)
    assert all(len(found) == 1 for found in of.values())
    assert {label for _, _, label in data} == {data[i][2] for i, split in enumerate(splits) if split == "train"}


@settings(deadline=None)
@given(images, st.randoms())
def test_the_order_of_the_images_changes_nothing(data: list[Image], chance: random.Random) -> None:
    order = list(range(len(data)))
    chance.shuffle(order)
    mixed = cut([data[i] for i in order])
    assert mixed == [cut(data)[i] for i in order]


def patients(count: int, *, each: int) -> list[Image]:
    """Images of `each` patient, most of one class, as diseases are."""
    return [
        (hashlib.sha256(f"{patient}/{i}".encode()).hexdigest(), f"p{patient}", patient % 3 if i else (patient + 1) % 3)
        for patient in range(count)
        for i in range(each + patient % 4)
    ]


def shares(data: list[Image], splits: list[str]) -> dict[tuple[str, int], float]:
    """The share of each class that lies in each split."""
    return {
        (split, label): sum(s == split and own == label for s, (_, _, own) in zip(splits, data, strict=True))
        / sum(own == label for _, _, own in data)
        for split in FRACTIONS
        for label in range(3)
    }


def test_classes_are_shared_out_as_the_fractions_say_and_a_control_by_chance_is_worse() -> None:
    data = patients(60, each=8)
    missed = {key: abs(share - FRACTIONS[key[0]]) for key, share in shares(data, cut(data)).items()}
    assert max(missed.values()) < 0.03
    by_chance = ["test" if hash_ < "33" else "val" if hash_ > "e6" else "train" for hash_ in
                 (hashlib.sha256((group or "").encode()).hexdigest() for _, group, _ in data)]  # fmt: skip
    assert max(abs(share - FRACTIONS[key[0]]) for key, share in shares(data, by_chance).items()) > 0.05


@pytest.mark.parametrize("count", [3, 4, 10])
def test_few_groups_leave_no_split_empty(count: int) -> None:
    data = [(sha, group, 0) for sha, group, _ in patients(count, each=5)]
    assert {*cut(data)} == {*FRACTIONS}


def test_control_the_split_by_content_cuts_groups() -> None:
    data = patients(10, each=8)
    splits = assign(
        ["train"] * len(data), [sha for sha, _, _ in data], carved=("val", "test"), val_fraction=0.1, test_fraction=0.2
    )
    of = defaultdict(set)
    for (_, group, _), split in zip(data, splits, strict=True):
        of[group].add(split)
    assert any(len(found) > 1 for found in of.values())


def run(root: Path, target: Path, **options: object) -> Prepared:
    return prepare(target, source="folder", root=root, size=8, workers=1, **options)  # type: ignore[arg-type]


def rows(data: Prepared) -> dict[str, dict[str, object]]:
    return {row["source"]: row for split in data.counts for row in data.samples(split).to_pylist()}


def test_split_by_keeps_patients_whole_through_prepare(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw", images=24)
    lines = [f"class{k}/{i:03}.png,p{i % 8}" for k in range(2) for i in range(24)]
    (root / "groups.csv").write_text("path,patient\n" + "\n".join(lines))
    data = run(root, tmp_path / "p", groups=root / "groups.csv", split_by="patient")
    of = defaultdict(set)
    for row in rows(data).values():
        of[row["patient"]].add(row["split"])
    assert len(of) == 8
    assert all(len(found) == 1 for found in of.values())
    assert all(data.num_images(split) for split in data.counts)
    with pytest.raises(UserError, match=r"data\.split_by \(='patent'\).*did you mean 'patient'"):
        run(root, tmp_path / "q", groups=root / "groups.csv", split_by="patent")
    with pytest.raises(UserError, match=r"there is none; name a CSV"):
        run(root, tmp_path / "q", split_by="patient")
    (root / "splits.csv").write_text("path,split\nclass0/000.png,test\n")
    with pytest.raises(UserError, match=r"'p0' is in test .*and in train"):
        run(root, tmp_path / "q", groups=root / "groups.csv", split_by="patient", splits=root / "splits.csv")


def test_a_file_fixes_the_splits_and_those_of_another_run_can_be_kept(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw", images=24)
    first = run(root, tmp_path / "p")
    kept = {path: str(row["split"]) for path, row in rows(first).items()}
    kept["class0/000.png"] = "test" if kept["class0/000.png"] != "test" else "val"
    lines = "".join(f"{path},{split}\n" for path, split in kept.items())
    (root / "splits.csv").write_text(f"path,split\n{lines}nothing.png,val\n")
    for i in range(24, 40):
        save(picture(i + 77), root / "class0" / f"{i:03}.png")
    data = run(root, tmp_path / "q", splits=root / "splits.csv")
    assert {path: row["split"] for path, row in rows(data).items() if path in kept} == kept
    assert {row["split"] for path, row in rows(data).items() if path not in kept} == {"train"}
    assert data.notes == (
        "1 rows of data.splits name no image, the first: nothing.png",
        "16 images have no row in data.splits: they count as train",
    )
    assert data.source_digest != first.source_digest
    (root / "splits.csv").write_text("path,split\nclass0/001.png,test\nclass1/001.png,test\n")
    data = run(root, tmp_path / "q", splits=root / "splits.csv")
    assert data.num_images("test") == 2
    assert data.num_images("val") > 0  # no row names it: cut from train


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,spilt\nx,val\n", "no column 'split'; did you mean 'spilt'"),
        ("path,split\nx,dev\n", r"line 2: split \(='dev'\) is unknown"),
        ("path,split\nx,\n", r"line 2: split"),
        ("path,split\nx,val\nx,test\n", "line 3: 'x' was there before with another split"),
        ("path,split\n", "no rows"),
        ("path,split\nx,val\n", "no row names an image"),
    ],
)
def test_a_file_of_splits_that_is_wrong_is_told_in_one_sentence(content: str, message: str, tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw", images=4)
    (root / "splits.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        run(root, tmp_path / "p", splits=root / "splits.csv")
    assert not (tmp_path / "p").exists()


def small(root: Path) -> Path:
    class_folders(root, images=30)
    for i in range(3):
        save(picture(9000 + i), root / "rare" / f"{i}.png")
    save(picture(1), root / "empty" / "bad.png")
    (root / "empty" / "bad.png").write_bytes(b"")
    return root


def test_small_and_empty_classes_stop_or_are_dropped_or_kept(tmp_path: Path) -> None:
    root = small(tmp_path / "raw")
    with pytest.raises(UserError, match=r"class 'empty' has no readable image.*set data\.small_classes: drop"):
        run(root, tmp_path / "p")
    data = run(root, tmp_path / "p", small_classes="drop")
    assert data.classes == ("class0", "class1", "rare")
    data = run(root, tmp_path / "p", small_classes="drop", min_images=5)
    assert data.classes == ("class0", "class1")
    assert data.split("train").targets.max() == 1
    reasons = {path: reason.partition(":")[0] for path, reason in data.quarantined()}
    assert reasons == {"empty/bad.png": "empty file", **{f"rare/{i}.png": "small class" for i in range(3)}}
    assert data.notes == ("2 of 4 classes have fewer than 5 images and are left out: empty (0), rare (3)",)
    (root / "empty" / "bad.png").unlink()
    with pytest.raises(UserError, match=r"data\.min_images \(=5\): 1 of 3 classes have fewer images: rare \(3\)"):
        run(root, tmp_path / "q", min_images=5)
    data = run(root, tmp_path / "p", small_classes="keep", min_images=5)
    assert data.classes == ("class0", "class1", "rare")
    assert "kept: rare (3)" in " ".join(data.notes)


def test_labels_of_few_images_are_dropped_and_their_images_stay(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw", images=30)
    shown = {(k, i): "a;" * (i % 2) + ("rare" if (k, i) == (0, 1) else "b") for k in range(2) for i in range(30)}
    lines = [f"class{k}/{i:03}.png,{labels}" for (k, i), labels in shown.items()]
    (root / "labels.csv").write_text("path,labels\n" + "\n".join(lines))
    data = prepare(
        tmp_path / "p",
        task="multilabel",
        source="folder",
        root=root,
        size=8,
        workers=1,
        small_classes="drop",
        min_images=5,
    )
    assert data.classes == ("a", "b")
    assert len(rows(data)) == 60
    assert rows(data)["class0/001.png"]["labels"] == [0]
