"""A folder of your own images: every file is read before anything is trained, and what is wrong with it is said."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pictures import class_folders, content, picture, save
from PIL import Image

from neocog.core.errors import UserError
from neocog.data.prepare import prepare, summary
from neocog.data.prepared import Prepared
from neocog.data.sources.folder import called


def run(root: Path, target: Path, **options: object) -> Prepared:
    """Prepare a folder at 16 pixels in one process, unless told otherwise."""
    return prepare(target, source="folder", root=root, **({"size": 16, "workers": 1} | options))  # type: ignore[arg-type]


def splits_of(data: Prepared) -> dict[str, str]:
    """Source path -> split of every image."""
    return {row["source"]: name for name in data.counts for row in data.samples(name).to_pylist()}


def test_the_same_folder_gives_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "birds", images=100)
    (root / "class0" / "bad.png").write_bytes(b"")
    one, two = run(root, tmp_path / "one"), run(root, tmp_path / "two", workers=2)
    moved = shutil.copytree(root, tmp_path / "elsewhere" / "birds")
    assert content(one.folder) == content(two.folder) == content(run(moved, tmp_path / "three").folder)
    assert set(content(one.folder)) == {"dataset.json", "images.npy", "quarantine.csv", "samples.parquet"}


def test_adding_images_moves_none_of_the_others(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    before = splits_of(run(root, tmp_path / "p"))
    class_folders(root, classes=3, images=60, first=5000)  # overwrites none: other pictures under other names
    for path in sorted(root.glob("class*/*.png")):
        if int(path.stem) < 40 and path.parent.name != "class2":
            save(picture(int(path.parent.name[-1]) * 1000 + int(path.stem)), path)
    after = splits_of(run(root, tmp_path / "p"))
    assert len(after) > len(before)
    assert all(after[path] == split for path, split in before.items())


def test_a_new_name_or_another_size_moves_no_image(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    first = run(root, tmp_path / "p")
    before = {row["sha256"]: name for name in first.counts for row in first.samples(name).to_pylist()}
    for path in sorted(root.glob("class*/*.png")):
        path.rename(path.with_name(f"renamed {path.name}"))
    second = run(root, tmp_path / "p", size=40)
    assert before == {row["sha256"]: name for name in second.counts for row in second.samples(name).to_pylist()}
    assert second.digest != first.digest


def test_every_bad_file_is_named_with_its_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    whole = (root / "class0" / "000.png").read_bytes()
    bad = {
        "class0/cut off.PNG": (whole[: len(whole) // 2], "truncated"),
        "class0/empty.jpg": (b"", "empty file"),
        "class1/deep/er/page.jpeg": (b"<html>not found</html>", "not an image"),
        "class1/notes.txt": (b"remember the milk", "not an image"),
        "class1/überraschung 東京.gif": (b"GIF89a", "not an image"),
    }
    for name, (data, _) in bad.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    save(picture(7, width=600, height=600), root / "class0" / "huge.png")
    os.mkfifo(root / "class0" / "pipe.png")
    (root / "class0" / "dangling.png").symlink_to(root / "class0" / "nothing.png")
    save(picture(8), root / "stray.png")
    expected = {name: reason for name, (_, reason) in bad.items()} | {
        "class0/huge.png": "too many pixels",
        "class0/pipe.png": "no file",
        "class0/dangling.png": "broken link",
        "stray.png": "no class",
    }
    data = run(root, tmp_path / "p", max_pixels=100_000)
    assert {path: reason.split(":")[0] for path, reason in data.quarantined()} == expected
    assert len(splits_of(data)) == 80
    assert "quarantined: 9 (not an image 3, " in summary(data)

    with pytest.raises(UserError) as stopped:
        run(root, tmp_path / "stopped", max_pixels=100_000, on_bad="stop")
    assert all(path in str(stopped.value) for path in expected)
    assert not (tmp_path / "stopped").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "raw"]


def test_names_of_any_kind_hidden_files_and_nested_folders(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    for i, name in enumerate(
        ("with space.PNG", "ünïcode-東京.png", "no_suffix", "deep/er/x.JPG", "wrong.txt", 'a,b".png')
    ):
        image = tmp_path / "image.jpg" if name.endswith("JPG") else tmp_path / "image.png"
        save(picture(500 + i), image)
        (root / "class0" / name).parent.mkdir(parents=True, exist_ok=True)
        image.rename(root / "class0" / name)
    odd = os.fsencode(root / "class1") + b"/latin-\xe9.png"
    Path(os.fsdecode(odd)).write_bytes(save(picture(600), tmp_path / "image.png").read_bytes())
    save(picture(601), root / "class1" / "new\nline \x1b[31m.png")
    for ignored in (".DS_Store", "Thumbs.db", "desktop.ini", ".hidden/x.png", "__MACOSX/x.png"):
        path = root / "class1" / ignored
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"ignored")
    (root / ".git").mkdir()
    (root / "circle").symlink_to("circle")
    (root / "README.md").write_text("about these images")
    data = run(root, tmp_path / "p")
    assert data.quarantined() == []
    paths = splits_of(data)
    assert len(paths) == 88
    assert "class0/ünïcode-東京.png" in paths
    assert "class1/latin-\\xe9.png" in paths
    assert "class1/new\\x0aline \\x1b[31m.png" in paths


def test_links_out_of_the_folder_are_refused_links_within_are_files(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    outside = save(picture(900), tmp_path / "outside" / "secret.png")
    (root / "class0" / "link.png").symlink_to(outside)
    (root / "class0" / "linked").symlink_to(outside.parent)
    (root / "class0" / "loop").symlink_to(root)
    (root / "class1" / "inside.png").symlink_to(root / "class1" / "000.png")
    data = run(root, tmp_path / "p")
    assert {path: reason.split(":")[0] for path, reason in data.quarantined()} == {
        "class0/link.png": "link leaves the folder",
        "class0/linked": "link leaves the folder",
        "class0/loop": "linked folder",
    }
    assert data.classes == ("class0", "class1")
    assert len(splits_of(data)) == 81
    assert run((tmp_path / "alias", (tmp_path / "alias").symlink_to(root))[0], tmp_path / "p").digest == data.digest


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("train", "valid", "test"),
        ("Train", "validation", "TEST"),
        ("Training", "Val", "Testing"),
    ],
)
def test_splits_that_the_folder_names_are_kept(tmp_path: Path, names: tuple[str, str, str]) -> None:
    for first, name in enumerate(names):
        class_folders(tmp_path / "raw" / name, images=10, first=first * 10_000)
    data = run(tmp_path / "raw", tmp_path / "p")
    assert data.classes == ("class0", "class1")
    assert [data.num_images(split) for split in ("train", "val", "test")] == [20, 20, 20]
    assert all(path.lower().startswith(split) for path, split in splits_of(data).items())


def test_what_the_folder_does_not_name_is_cut_out_of_train(tmp_path: Path) -> None:
    for first, split in enumerate(("train", "test")):
        class_folders(tmp_path / "raw" / split, images=40, first=first * 10_000)
    data = run(tmp_path / "raw", tmp_path / "p", val_fraction=0.3, test_fraction=0.3)
    tally = Counter((path.split("/")[0], split) for path, split in splits_of(data).items())
    assert tally["test", "test"] == 80
    assert tally["train", "train"] + tally["train", "val"] == 80
    assert tally["train", "val"] > 10


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name, first in (("car", 0), ("train", 1000)):
        for i in range(40):
            save(picture(first + i), tmp_path / "raw" / name / f"{i}.png")
    assert run(tmp_path / "raw", tmp_path / "p").classes == ("car", "train")


def test_no_exact_duplicate_crosses_splits_or_classes(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for first, split in enumerate(("train", "val", "test")):
        class_folders(root / split, images=10, first=first * 10_000)
    twin = picture(77)
    save(twin, root / "train" / "class0" / "twin.png")
    save(twin, root / "test" / "class0" / "twin.bmp")  # another file, the same pixels
    save(picture(78), root / "train" / "class0" / "two.png")
    save(picture(78), root / "train" / "class1" / "two.png")
    save(picture(79), root / "val" / "class1" / "again.png")
    save(picture(79), root / "val" / "class1" / "again too.png")
    data = run(root, tmp_path / "p")
    assert dict(data.quarantined()) == {
        "train/class0/twin.png": "duplicate across splits: same pixels as test/class0/twin.bmp, which lies in test",
        "train/class0/two.png": "two labels: same pixels as train/class1/two.png, which lies in another class",
        "train/class1/two.png": "two labels: same pixels as train/class0/two.png, which lies in another class",
    }
    assert data.notes == ("1 images of val repeat another of it exactly",)
    hashes = [set(data.samples(split).column("sha256").to_pylist()) for split in data.counts]
    assert not (hashes[0] & hashes[1] or hashes[0] & hashes[2] or hashes[1] & hashes[2])


def test_duplicates_share_a_split_when_it_follows_from_content(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    for path in sorted(root.glob("class*/*.png")):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    splits = splits_of(run(root, tmp_path / "p"))
    assert len(splits) == 160
    assert all(split == splits[path.replace("copy of ", "")] for path, split in splits.items())


def test_channels_follow_the_pixels_unless_told(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for label in range(2):
        for i in range(40):
            gray = picture(label * 1000 + i, colour=False)
            save(gray.convert("RGB") if i % 2 else gray, root / f"class{label}" / f"{i}.png")
    gray_set = run(root, tmp_path / "gray")
    assert gray_set.channels == 1
    asked = run(root, tmp_path / "asked", channels=1)
    assert asked.digest == gray_set.digest
    three = run(root, tmp_path / "three", channels=3)
    assert three.channels == 3
    assert (three.split("train").images == gray_set.split("train").images).all()
    save(picture(5000), root / "class0" / "colour.png")
    assert run(root, tmp_path / "colour").channels == 3
    assert run(root, tmp_path / "colour", channels=1).channels == 1


def test_the_packed_pixels_are_those_of_the_files(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw", images=60)
    data = run(root, tmp_path / "p", size=24)
    for split in data.counts:
        for image, row in zip(data.split(split).images, data.samples(split).to_pylist(), strict=True):
            assert (image == np.asarray(Image.open(root / row["source"]))).all()
            assert data.classes[row["label"]] == row["source"].split("/")[0]


def broken_class(root: Path) -> None:
    (root / "class7").mkdir()
    (root / "class7" / "x.png").write_bytes(b"")


def one_class(root: Path) -> None:
    shutil.rmtree(root / "class1")


def no_classes(root: Path) -> None:
    for folder in root.iterdir():
        shutil.rmtree(folder)
    save(picture(0), root / "x.png")


def gone(root: Path) -> None:
    shutil.rmtree(root)


def a_file(root: Path) -> None:
    shutil.rmtree(root)
    root.write_text("not a folder")


def mixed(root: Path) -> None:
    class_folders(root / "train")


def only_tested(root: Path) -> None:
    for name in ("class0", "class1"):
        shutil.move(root / name, root / "train" / name)
    class_folders(root / "test", classes=3, first=9000)


def no_train(root: Path) -> None:
    for name in ("class0", "class1"):
        shutil.move(root / name, root / "val" / name)
    class_folders(root / "test", images=2, first=9000)


def linked_train(root: Path) -> None:
    no_train(root)
    class_folders(root.parent / "elsewhere", images=2, first=5000)
    (root / "train").symlink_to(root.parent / "elsewhere")


def two_trains(root: Path) -> None:
    for name in ("class0", "class1"):
        shutil.move(root / name, root / "Train" / name)
    class_folders(root / "training", images=2, first=9000)


def linked_class(root: Path) -> None:
    class_folders(root.parent / "elsewhere", images=2, first=5000)
    (root / "class9").symlink_to(root.parent / "elsewhere" / "class0")


def few(root: Path) -> None:
    for path in root.glob("class*/*.png"):
        if int(path.stem) > 0:
            path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (broken_class, r"class 'class7' has no readable image \(1 were refused, the first is class7/x.png: empty file"),
        (one_class, r"only one class \(class0\)"),
        (no_classes, r"data.root \(=.*\) holds no class folders; .* as .*/<class>/<image>.* \(x.png: no class"),
        (gone, r"data.root \(=.*\) does not exist"),
        (a_file, r"data.root \(=.*\) is no folder"),
        (mixed, r"'class0', 'class1' lie beside train/"),
        (no_train, r"there are folders in 'test', 'val', as in a split, but none in a folder train"),
        (linked_train, r"'train' is a link, and links to folders are not followed"),
        (two_trains, r"'Train', 'training': 2 folders for train; keep one"),
        (linked_class, r"class folder 'class9' is a link, and links to folders are not followed"),
        (only_tested, r"class 'class2' has 40 images and none of them is in train"),
        (few, r"none of them is in train|no image is in (val|test)"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(spoil: object, message: str, tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    spoil(root)  # type: ignore[operator]
    with pytest.raises(UserError, match=message) as refused:
        run(root, tmp_path / "p")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "p").exists()


def test_two_pictures_a_class_are_enough_and_an_empty_split_names_the_fraction_that_fills_it(tmp_path: Path) -> None:
    data = run(class_folders(tmp_path / "raw", classes=40, images=2), tmp_path / "p")
    assert all(data.counts["train"].values())
    root, fractions = (
        class_folders(tmp_path / "few", classes=3, images=4),
        {"val_fraction": 0.02, "test_fraction": 0.02},
    )
    while True:
        try:
            run(root, tmp_path / "p", **fractions)
        except UserError as error:
            [(key, value)] = re.findall(r"set data\.(\w+_fraction): (0\.\d+)", str(error))
            assert float(value) > fractions[key]
            fractions[key] = float(value)
        else:
            break


@pytest.mark.parametrize(
    ("root", "name"),
    [
        ("data/raw", "images"),
        ("data/flowers/raw", "flowers"),
        ("/data/My Birds/train", "My Birds"),
        ("../x-rays", "x-rays"),
        ("imgs2/Training", "images"),
        ("/home/alice/data/raw", "images"),
    ],
)
def test_a_data_set_is_called_after_the_folder_that_tells_something(root: str, name: str) -> None:
    assert called(Path(root)) == name


def test_the_name_that_is_set_is_the_name(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    assert run(root, tmp_path / "p", name="garden birds").name == "garden birds"
    assert prepare(tmp_path / "d", source="digits", name="ten digits").name == "ten digits"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"size": 2}, r"data.size \(=2\) is too small"),
        ({"resize": "corp"}, "did you mean 'crop'"),
        ({"on_bad": "halt"}, "known: quarantine, stop"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, r"data.val_fraction \(=0.5\)"),
        ({"groups": "nowhere.csv"}, r"data.groups \(='nowhere.csv'\)"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(option: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        run(class_folders(tmp_path / "raw"), tmp_path / "p", **option)
    assert not (tmp_path / "p").exists()


def test_a_script_without_a_main_guard_or_without_a_file_can_prepare(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    code = (
        "from neocog.data.prepare import prepare\n"
        f"print(prepare({str(tmp_path / 'p')!r}, source='folder', root={str(root)!r}, size=8, workers=2).digest)"
    )
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == run(root, tmp_path / "q", size=8).digest


def test_memory_stays_bounded_whatever_the_size_of_the_set(tmp_path: Path) -> None:
    """The rows of 240 images at 256 pixels are 47 MB; what is held at any time is a few blocks of 4 MB."""
    import tracemalloc

    root = class_folders(tmp_path / "raw", images=120)
    tracemalloc.start()
    data = run(root, tmp_path / "p", size=256)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows = (tmp_path / "p" / "images.npy").stat().st_size
    assert rows == data.size[0] ** 2 * 3 * 240 + 128
    assert peak < 30_000_000, f"{peak:,} bytes"
