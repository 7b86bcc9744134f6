"""Which folders are classes, which links are followed, and what is passed over."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pictures import class_folders, content, picture, save

from neocog.core.errors import UserError
from neocog.data.prepare import prepare, summary
from neocog.data.prepared import Prepared
from neocog.data.sources.listing import list_images
from neocog.params.sections import Data
from neocog.serving.files import find


def run(root: Path, target: Path) -> Prepared:
    """Prepare a folder at 8 pixels in one process."""
    return prepare(target, source="folder", root=root, size=8, workers=1)


def fill(root: Path, *folders: str, images: int = 2) -> Path:
    """A few files, each of its own content, in each of `folders`: listing does not look into them."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(images):
            (root / folder / f"{i}.png").write_text(f"{folder}/{i}")
    return root


def root_to_write(message: str) -> Path:
    """The value of data.root that an error names, read as YAML reads it."""
    [found] = re.findall(r"write (data\.root: .*?)(?:;|$)", message)
    return Path(yaml.safe_load(found)["data.root"])


DEEPER = {  # folders -> what the error names as data.root, and what that gives
    "one around": (["flowers/daisy", "flowers/rose", "flowers/tulip"], "flowers", ["daisy", "rose", "tulip"]),
    "two around": (["my data/x: y/cat", "my data/x: y/dog"], "my data/x: y", ["cat", "dog"]),
    "splits inside": (["xray/train/ill", "xray/train/well", "xray/test/ill", "xray/test/well"], "xray", ["ill", "well"]),
    "splits of other names": (["seg_train/sea", "seg_train/wood", "seg_test/sea", "seg_test/wood"], "seg_train", ["sea", "wood"]),
    "twice, with some unlabelled": (
        ["seg_train/seg_train/sea", "seg_train/seg_train/wood", "seg_test/seg_test/sea", "seg_test/seg_test/wood", "pred/pred"],
        "seg_train/seg_train",
        ["sea", "wood"],
    ),
    "images and masks": (["images/cat", "images/dog", "masks/cat", "masks/dog"], "images", ["cat", "dog"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", DEEPER)
def test_a_root_too_high_is_refused_and_the_root_that_is_named_works(kind: str, tmp_path: Path) -> None:
    folders, inner, classes = DEEPER[kind]
    root = fill(tmp_path / "raw", *folders)
    with pytest.raises(UserError, match="no class") as refused:
        list_images(root)
    named = root_to_write(str(refused.value))
    assert named == root / inner
    assert list_images(named).classes == classes


def test_splits_of_other_names_become_given_splits_when_renamed_as_the_error_says(tmp_path: Path) -> None:
    root = fill(tmp_path / "raw", "seg_train/sea", "seg_train/wood", "seg_test/sea", "seg_test/wood")
    with pytest.raises(UserError, match="'seg_test' to 'test', 'seg_train' to 'train'") as refused:
        list_images(root)
    for old, new in re.findall(r"'(\w+)' to '(\w+)'", str(refused.value)):
        (root / old).rename(root / new)
    listing = list_images(root)
    assert (listing.classes, sorted(set(listing.given))) == (["sea", "wood"], ["test", "train"])


def test_a_root_too_low_names_the_folder_above(tmp_path: Path) -> None:
    root = fill(tmp_path / "raw", "cat", "dog")
    with pytest.raises(UserError, match="holds no class folders") as refused:
        list_images(root / "cat")
    assert list_images(root_to_write(str(refused.value))).classes == ["cat", "dog"]


def test_control_classes_may_hold_folders(tmp_path: Path) -> None:
    patients = fill(tmp_path / "patients", "ill/p1", "ill/p2", "well/p3", "well/p4/left")
    assert list_images(patients).classes == ["ill", "well"]
    one_shared = fill(tmp_path / "one", "cat/new", "dog/new", "cat/old", "dog/x")
    assert list_images(one_shared).classes == ["cat", "dog"]
    years = fill(tmp_path / "years", "cat/2019", "cat/2020", "dog/2019", "dog/2020")
    with pytest.raises(UserError, match="are the classes after all, move their images out of those folders"):
        list_images(years)
    for name in ("cat", "dog"):  # the remedy, done for one image only
        (years / name / "2019" / "0.png").rename(years / name / "0.png")
    assert list_images(years).classes == ["cat", "dog"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("Cat", "cat"), ("cat", "cat "), ("hot dog", "hot  dog"), ("e\u0301", "\u00e9"), ("train/Cat", "test/cat"), ("Straße", "STRASSE")],
)  # fmt: skip
def test_one_class_in_two_spellings_is_refused_by_both(one: str, other: str, tmp_path: Path) -> None:
    more = "train/zebra" if "/" in one else "zebra"
    root = fill(tmp_path / "raw", one, other, more)
    with pytest.raises(UserError, match="two spellings") as refused:
        list_images(root)
    assert repr(one) in str(refused.value)
    assert repr(other) in str(refused.value)
    (root / other).rename(root / other.replace(other.rpartition("/")[2], "other"))  # the remedy
    list_images(root)


def test_letters_may_differ_in_case_with_a_note(tmp_path: Path) -> None:
    listing = list_images(fill(tmp_path / "raw", "a", "A", "b"))
    assert (listing.classes, listing.notes) == (["A", "a", "b"], ["classes 'A' and 'a' differ in case alone"])
    accents = fill(
        tmp_path / "splits", "train/e\u0301a", "test/\u00e9a", "train/b"
    )  # one spelling for each split is one class
    assert list_images(accents).classes == ["b", "\u00e9a"]


LEFT = (
    "@eaDir",
    "lost+found",
    "$RECYCLE.BIN",
    "System Volume Information",
    "#recycle",
    "__pycache__",
    "__MACOSX",
    ".ipynb_checkpoints",
)


def test_what_systems_leave_is_neither_class_nor_image_and_counted(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    before = content(run(root, tmp_path / "p").folder)
    for folder in (root, root / "class0"):
        for name in LEFT:
            save(picture(1), folder / name / "x.png")
    (root / "class0.dvc").write_text("outs:\n")
    (root / "class1" / "thumbs.DB").write_bytes(b"\xd0\xcf\x11\xe0")
    data = run(root, tmp_path / "p")
    assert content(data.folder) == before  # nothing is trained again because a file manager looked in
    assert data.passed_over == {**dict.fromkeys(LEFT[:-1], 2), "hidden": 2, "*.dvc": 1, "thumbs.DB": 1}
    assert "passed over: #recycle 2, $RECYCLE.BIN 2, *.dvc 1, @eaDir 2" in summary(data)
    assert {file.path.suffix for file in find([root])} == {".png", ".dvc"} - {".dvc"}
    assert len(find([root])) == 80


def test_an_empty_class_folder_is_passed_over_with_a_note(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    (root / "class7" / "deeper").mkdir(parents=True)
    data = run(root, tmp_path / "p")
    assert data.classes == ("class0", "class1")
    assert data.notes[0] == "1 class folders hold no file and are passed over: class7"


def dvc(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=True, capture_output=True, timeout=120)


def test_images_that_dvc_linked_into_its_cache_are_the_same_images(tmp_path: Path) -> None:
    project = tmp_path / "project"
    root = class_folders(project / "photos", images=30)
    before = content(run(root, tmp_path / "before").folder)
    dvc(project, "init", "-q", "--no-scm")
    dvc(project, "config", "cache.type", "symlink")
    dvc(project, "config", "cache.dir", str(tmp_path / "shared cache"))
    dvc(project, "add", "-q", "photos")
    linked = root / "class0" / "000.png"
    assert linked.is_symlink()
    outside = save(picture(900), tmp_path / "outside.png")
    (root / "class0" / "stranger.png").symlink_to(outside)
    data = run(root, tmp_path / "after")
    assert data.quarantined() == [
        ("class0/stranger.png", "link leaves the folder: it points outside data.root and DVC's cache; put the file itself there")
    ]  # fmt: skip
    (root / "class0" / "stranger.png").unlink()
    assert content(run(root, tmp_path / "after").folder) == before
    linked.resolve().unlink()
    gone = dict(run(root, tmp_path / "after").quarantined())
    assert gone["class0/000.png"].startswith("broken link: ")


def test_control_the_same_links_outside_of_a_dvc_project_are_refused(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw", images=30)
    stored = tmp_path / "cache" / "files" / "md5" / "ab" / "cd"
    stored.parent.mkdir(parents=True)
    shutil.move(root / "class0" / "000.png", stored)
    (root / "class0" / "000.png").symlink_to(stored)
    assert [path for path, _ in run(root, tmp_path / "p").quarantined()] == ["class0/000.png"]


def test_a_csv_of_groups_that_dvc_has_linked_lies_in_root_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "groups.csv").symlink_to(save(picture(0), tmp_path / "cache" / "ab.png"))
    Data(root=str(tmp_path / "raw"), groups=str(tmp_path / "raw" / "groups.csv"))
    with pytest.raises(ValueError, match="must lie inside root"):
        Data(root=str(tmp_path / "raw"), groups=str(tmp_path / "cache" / "ab.png"))
