"""Group columns come from a CSV and land beside their images."""

from pathlib import Path

import pytest
from pictures import class_folders, picture, save

from neocog.core.errors import UserError
from neocog.data.prepare import prepare
from neocog.data.prepared import Prepared


def run(tmp_path: Path, table: str) -> Prepared:
    """Prepare 80 images with the group table `table`."""
    root = class_folders(tmp_path / "raw")
    save(picture(4000), root / "class0" / "ünï 1.png")
    (root / "class0" / "bad.png").write_bytes(b"")
    (tmp_path / "groups.csv").write_text(table, encoding="utf-8")
    return prepare(tmp_path / "p", source="folder", root=root, size=8, workers=1, groups=tmp_path / "groups.csv")


def rows(data: Prepared) -> dict[str, dict[str, object]]:
    return {row["source"]: row for split in data.counts for row in data.samples(split).to_pylist()}


def test_columns_land_beside_their_images(tmp_path: Path) -> None:
    every = "".join(f"class{k}/{i:03}.png,cam{i % 3},{i}\n" for k in range(2) for i in range(40))
    data = run(tmp_path, f"path,camera,number\n{every}class0/u\u0308ni\u0308 1.png,cam9,\nclass0/bad.png,cam1,0\n")
    found = rows(data)
    assert all(row["camera"] == f"cam{int(path[-7:-4]) % 3}" for path, row in found.items() if "ünï" not in path)
    assert (found["class0/ünï 1.png"]["camera"], found["class0/ünï 1.png"]["number"]) == ("cam9", None)
    assert found["class1/007.png"]["number"] == "7"  # text, as it stands there
    assert data.notes == ()


def test_rows_without_image_and_images_without_row_are_told(tmp_path: Path) -> None:
    data = run(tmp_path, "\ufeffcamera,path\none,./class0/000.png\ntwo,class0\\001.png\n\nthree,class5/0.png\n")
    found = rows(data)
    assert (found["class0/000.png"]["camera"], found["class0/001.png"]["camera"]) == ("one", "two")
    assert found["class1/000.png"]["camera"] is None
    assert data.notes == (
        "1 rows of data.groups name no image, the first: class5/0.png",
        "79 images have no row in data.groups: their group columns are empty",
    )


def test_other_groups_are_another_data_set(tmp_path: Path) -> None:
    one, two = (run(tmp_path, f"path,camera\nclass0/000.png,{camera}\n") for camera in ("one", "two"))
    assert one.digest != two.digest
    assert one.source_digest != two.source_digest


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "no column 'path'"),
        ("Path,camera\nx,y\n", "no column 'path'; did you mean 'Path'"),
        ("path\nclass0/000.png\n", "no column besides 'path'"),
        ("path,label\nclass0/000.png,1\n", "label are neocog's own"),
        ("path,camera,camera\nclass0/000.png,1,1\n", "different, non-empty names"),
        ("path,camera\n", "no rows"),
        ("path,camera\nclass0/000.png\n", "line 2: 1 cells, the header has 2"),
        ("path,camera\nclass0/000.png,a\nclass0/000.png,b\n", "line 3: 'class0/000.png' was there before"),
        ("path,camera\nraw/class0/000.png,a\n", r"no row names an image; its paths look like 'raw/class0/000.png'"),
        ('path,camera\n"class0/000.png,a\n', "not a CSV"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(table: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as refused:
        run(tmp_path, table)
    assert "data.groups" in str(refused.value)
    assert not (tmp_path / "p").exists()


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_bytes(b"path,camera\n\xff\xfe,a\n")
    with pytest.raises(UserError, match="not a CSV in UTF-8"):
        prepare(tmp_path / "p", source="digits", groups=path)


def test_packed_sets_take_groups_by_number(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("path,writer\n" + "".join(f"digits/{i},w{i % 43}\n" for i in range(1797)))
    data = prepare(tmp_path / "p", source="digits", groups=path)
    assert rows(data)["digits/50"]["writer"] == "w7"
    assert data.notes == ()
