"""The prepared data set: opened by memory map, byte for byte the same, whole or not at all."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from pictures import content

from neocog.core.errors import Busy, UserError
from neocog.data import prepared, prepared_writer

COUNTS = {"train": 70, "val": 10, "test": 20}


def write(folder: Path, *, seed: int = 0, order: int = 0, flip: int | None = None) -> prepared.Prepared:
    """100 random images 6 x 6 x 3 in two classes, handed over in an order of choice."""
    images = np.random.default_rng(seed).integers(0, 256, (100, 6, 6, 3), dtype=np.uint8)
    sha256 = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    labels = np.arange(100) % 2
    if flip is not None:
        labels[flip] = 1 - labels[flip]
    splits = [split for split, count in COUNTS.items() for _ in range(count)]
    rows = np.random.default_rng(order).permutation(100)
    return prepared_writer.write(
        folder,
        name="noise",
        classes=["even", "odd"],
        images=images,
        samples=prepared_writer.Samples(
            rows=rows,
            targets=labels[rows],
            splits=[splits[i] for i in rows],
            sha256=[sha256[i] for i in rows],
            sources=[f"{i}.png" for i in rows],
            groups={"camera": [None if i % 3 else "one" for i in rows]},
        ),
        source_digest="of the source",
        quarantine=[("b.png", "truncated: x"), ("a, b.png", "empty file: 0 bytes")],
        notes=["a note"],
    )


def test_splits_are_views_of_one_memory_map(tmp_path: Path) -> None:
    write(tmp_path / "p")
    data = prepared.read(tmp_path / "p")
    assert data == prepared.read(str(tmp_path / "p"))
    for name, count in COUNTS.items():
        split = data.split(name)
        assert isinstance(split.images, np.memmap)
        assert split.images.base is not None
        assert not split.images.flags.writeable
        assert split.images.shape == (count, 6, 6, 3)
        assert split.targets.dtype == np.int64
        assert len(split.targets) == len(split.ids) == count == data.num_images(name)
        assert data.counts[name] == {"even": count // 2, "odd": count // 2}


def test_reading_touches_no_image_and_imports_nothing_heavy(tmp_path: Path) -> None:
    write(tmp_path / "p")
    (tmp_path / "p" / "images.npy").unlink()
    (tmp_path / "p" / "samples.parquet").unlink()
    assert prepared.read(tmp_path / "p").name == "noise"
    heavy = "torch pandas pyarrow PIL sklearn mlflow"
    code = f"import sys, neocog.data.prepared; print([m for m in {heavy.split()} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_row_i_of_the_table_describes_image_i(tmp_path: Path) -> None:
    data = write(tmp_path / "p")
    seen = []
    for name in COUNTS:
        split, table = data.split(name), data.samples(name).to_pylist()
        for image, label, key, row in zip(split.images, split.targets, split.ids, table, strict=True):
            assert hashlib.sha256(image.tobytes()).hexdigest() == row["sha256"]
            assert (row["split"], row["label"], row["id"]) == (name, label, key)
            assert row["source"] == f"{int(row['source'][:-4])}.png"
            assert row["camera"] == (None if int(row["source"][:-4]) % 3 else "one")
        seen += [row["sha256"] for row in table]
        assert [row["sha256"] for row in table] == sorted(row["sha256"] for row in table)
    assert len(set(seen)) == 100


def test_mean_and_std_are_those_of_the_training_images(tmp_path: Path) -> None:
    data = write(tmp_path / "p")
    pixels = data.split("train").images / 255
    np.testing.assert_allclose(data.mean, pixels.mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(data.std, pixels.std((0, 1, 2)), atol=1e-6)


def test_the_same_images_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "elsewhere" / "b", order=1)
    assert content(tmp_path / "a") == content(tmp_path / "elsewhere" / "b")


def test_control_one_label_or_one_image_changes_the_digest(tmp_path: Path) -> None:
    digests = {write(tmp_path / "p").digest, write(tmp_path / "p", flip=3).digest, write(tmp_path / "p", seed=1).digest}
    assert len(digests) == 3


def test_the_quarantine_is_read_as_written(tmp_path: Path) -> None:
    rows = [("a, b.png", "empty file: 0 bytes"), ("b.png", "truncated: x")]
    assert write(tmp_path / "p").quarantined() == rows


def test_equal_images_get_ids_of_their_own(tmp_path: Path) -> None:
    images = np.zeros((3, 4, 4, 1), np.uint8)
    data = prepared_writer.write(
        tmp_path / "p",
        name="blank",
        classes=["a", "b"],
        images=images,
        samples=prepared_writer.Samples(np.arange(3), np.zeros(3), ["train"] * 3, ["ab" * 32] * 3, ["x", "y", "z"]),
        source_digest="",
    )
    assert data.split("train").ids.tolist() == ["ab" * 8, "ab" * 8 + "-2", "ab" * 8 + "-3"]
    assert data.std == (round(1 / 255, 6),)  # never zero
    assert len(data.split("test").images) == 0


@pytest.mark.parametrize("name", ["images.npy", "samples.parquet"])
@pytest.mark.parametrize("spoil", ["delete", "cut", "swap"])
def test_a_folder_that_was_changed_is_refused(tmp_path: Path, name: str, spoil: str) -> None:
    data = write(tmp_path / "p")
    path = data.folder / name
    if spoil == "swap":
        np.save(path, np.zeros((99, 6, 6, 3), np.uint8)) if name == "images.npy" else path.write_text("other")
    elif spoil == "cut":
        path.write_bytes(path.read_bytes()[:200])
    else:
        path.unlink()
    with pytest.raises(UserError, match="changed after it was written"):
        data.split("train")


def test_a_missing_or_broken_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: no prepared data set .*dvc repro prepare"):
        prepared.read(tmp_path / "nowhere")
    write(tmp_path / "p")
    card = tmp_path / "p" / "dataset.json"
    fields = json.loads(card.read_text())
    del fields["classes"]
    for text in (json.dumps(fields), card.read_text()[:50], "[]"):
        card.write_text(text)
        with pytest.raises(UserError, match=r"dataset\.json"):
            prepared.read(tmp_path / "p")


def test_an_unknown_split_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'train'"):
        write(tmp_path / "p").split("trian")


def test_a_write_that_fails_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    before = content(write(tmp_path / "p").folder)
    with pytest.raises(IndexError):
        prepared_writer.write(
            tmp_path / "p",
            name="broken",
            classes=["a"],
            images=np.zeros((1, 4, 4, 1), np.uint8),
            samples=prepared_writer.Samples(np.array([7]), np.zeros(1), ["train"], ["ab" * 32], ["x"]),
            source_digest="",
        )
    assert content(tmp_path / "p") == before
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_a_killed_write_leaves_the_old_one_and_the_next_cleans_up(tmp_path: Path) -> None:
    before = content(write(tmp_path / "p").folder)
    code = (
        "import sys, time; from pathlib import Path; from neocog.core.atomic import staged\n"
        "with staged(Path(sys.argv[1])) as stage:\n"
        "    (stage / 'images.npy').write_bytes(b'half'); print('half', flush=True); time.sleep(60)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "p")], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"half\n"
    with pytest.raises(Busy, match="another process is writing it"):
        write(tmp_path / "p", seed=1)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    time.sleep(0.05)
    assert content(tmp_path / "p") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".p.partial", "p"]
    write(tmp_path / "p", seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]
    assert content(tmp_path / "p") != before


def test_a_task_of_several_labels_an_image_keeps_its_columns_and_the_number_of_images(tmp_path, monkeypatch):
    """The room asks the task what its targets are: one that has lists in the place of a label is written and read again."""
    targets = ModuleType("targets")
    vars(targets).update(
        COLUMNS={"labels": "list<int64>"},
        columns=lambda targets: {"labels": [np.flatnonzero(row).tolist() for row in targets]},
        of=lambda table, classes: np.array(
            [[label in row for label in range(classes)] for row in table.column("labels").to_pylist()], bool
        ),
        counts=lambda targets, classes: targets.sum(0),
    )
    monkeypatch.setattr(prepared.tasks, "task", lambda name: SimpleNamespace(targets=targets))
    several = np.array([[True, True, False], [False, False, False], [False, True, True]])
    samples = prepared_writer.Samples(
        np.arange(3), several, list(prepared.SPLITS), ["ab" * 32] * 3, ["x", "y", "z"], {"site": ["a", "b", None]}
    )
    images = np.zeros((3, 2, 2, 1), np.uint8)
    written = prepared_writer.write(
        tmp_path / "data",
        name="x",
        task="several",
        classes=["a", "b", "c"],
        images=images,
        samples=samples,
        source_digest="",
    )
    assert [written.num_images(split) for split in prepared.SPLITS] == [1, 1, 1]
    assert written.counts["train"] == {"a": 1, "b": 1, "c": 0}
    assert written.groups("train") == {"site": ["a"]}
    for row, split in enumerate(prepared.SPLITS):
        np.testing.assert_array_equal(written.split(split).targets, several[[row]])
