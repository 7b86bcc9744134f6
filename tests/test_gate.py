"""What the gate refuses, what it lets through with a note, and in which words."""

import numpy as np
import pytest

from neocog.core.errors import UserError
from neocog.data import quality_checks
from neocog.data.prepared import SPLITS
from neocog.tasks.classification.targets import CONTRADICTION, counts


def refused(*images: tuple[str, int, str]) -> dict[str, str]:
    """Path -> reason, for (pixels, label, split/name)."""
    sha256 = [pixels for pixels, _, _ in images]
    labels = np.array([label for _, label, _ in images])
    paths = [path for _, _, path in images]
    return {
        paths[i]: reason
        for i, reason in quality_checks.duplicates(
            labels, [path.split("/")[0] for path in paths], sha256, paths, contradiction=CONTRADICTION
        ).items()
    }


def test_an_image_in_two_splits_stays_where_it_is_judged() -> None:
    twins = refused(("a", 0, "train/x"), ("a", 0, "test/y"), ("a", 0, "val/z"), ("b", 0, "train/w"))
    assert twins == {
        "train/x": "duplicate across splits: same pixels as test/y, which lies in test",
        "val/z": "duplicate across splits: same pixels as test/y, which lies in test",
    }


def test_an_image_with_two_labels_is_refused_everywhere() -> None:
    twins = refused(("a", 0, "train/x"), ("a", 1, "train/y"), ("a", 1, "test/z"))
    assert sorted(twins) == ["test/z", "train/x", "train/y"]
    assert twins["train/y"] == "two labels: same pixels as train/x, which lies in another class"


def test_control_different_images_and_copies_within_a_split_stay() -> None:
    assert refused(("a", 0, "train/x"), ("a", 0, "train/y"), ("b", 1, "test/z")) == {}
    assert quality_checks.repeated(["train", "train", "train", "test"], ["a", "a", "a", "b"]) == {"train": 2}


def test_stop_names_twenty_and_counts_the_rest() -> None:
    with pytest.raises(UserError) as stopped:
        quality_checks.stop([(f"cat/{i:02}.png", "truncated: x") for i in range(23)])
    message = str(stopped.value)
    assert "23 files are refused" in message
    assert "cat/19.png: truncated: x" in message
    assert "cat/20.png" not in message
    assert "and 3 more" in message
    assert "data.on_bad: quarantine" in message
    quality_checks.stop([])


def check(labels: list[int], splits: str, *, classes: int = 2, bad: tuple[tuple[str, str], ...] = ()) -> list[str]:
    """`splits` has one letter an image: r (train), v (val), t (test)."""
    names = {"r": "train", "v": "val", "t": "test"}
    where = np.array([names[s] for s in splits], "U5")
    numbers = {split: counts(np.array(labels, int)[where == split], classes=classes) for split in SPLITS}
    images = {split: int((where == split).sum()) for split in SPLITS}
    return quality_checks.check_classes(numbers, images, [f"c{i}" for i in range(classes)], bad)


def test_classes_that_can_be_learnt_and_judged_pass_without_a_note() -> None:
    assert check([0, 0, 0, 1, 1, 1], "rvtrvt") == []


@pytest.mark.parametrize(
    ("labels", "splits", "classes", "message"),
    [
        ([0, 0, 0], "rvt", 1, "only one class"),
        ([], "", 2, "no readable image"),
        ([0, 0, 0], "rvt", 2, "class 'c1' has no readable image"),
        ([0, 0, 0, 1], "rvtt", 2, "class 'c1' has 1 images and none of them is in train"),
        ([0, 0, 1, 1], "rtrt", 2, "no image is in val; add images, or give the folder val/"),
        ([0, 0, 1, 1], "rvrv", 2, "no image is in test; add images, or give the folder test/"),
    ],
)
def test_classes_that_cannot_are_refused(labels: list[int], splits: str, classes: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(labels, splits, classes=classes)


def test_a_class_whose_files_are_all_bad_names_the_first_of_them() -> None:
    bad = (("c0/a.jpg", "truncated: y"), ("train/c1/b.jpg", "empty file: 0 bytes"))
    with pytest.raises(UserError, match=r"class 'c1' .*1 were refused, the first is train/c1/b.jpg: empty file"):
        check([0, 0, 0], "rvt", bad=bad)


def test_all_classes_that_cannot_be_used_are_named_at_once() -> None:
    with pytest.raises(UserError, match=r"classes 'c2', 'c3' have no readable image; add images to their folders"):
        check([0, 0, 0, 1, 1, 1], "rvtrvt", classes=4)
    with pytest.raises(UserError, match=r"classes 'c1', 'c3' have 3 images and none of them is in train"):
        check([0, 0, 0, 1, 2, 3, 3], "rvttrvt", classes=4)
    with pytest.raises(UserError) as refused:
        check([0, 0, 0], "rvt", classes=24)
    assert "'c20' and 3 more have no readable image" in str(refused.value)
    assert "'c21'" not in str(refused.value)


def test_a_class_with_one_image_passes_with_a_note_if_it_can_be_learnt() -> None:
    notes = check([0, 0, 0, 1], "rvtr")
    assert notes == ["1 of 2 classes have no image in val: c1", "1 of 2 classes have no image in test: c1"]
