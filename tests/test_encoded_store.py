"""Images that stay encoded are the same images: same pixels, splits, statistics and batches as packed, in any number of threads."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import content, picture, save
from PIL import Image

from neocog.core.errors import UserError
from neocog.data.decoding import encoded_images
from neocog.data.loader import Batches
from neocog.data.prepare import prepare
from neocog.data.prepared import Prepared, read


def photographs(root: Path, *, count: int = 20) -> Path:
    """JPEGs and PNGs of several shapes, in gray and colour, some of which are decoded at a smaller scale."""
    for label in range(2):
        for i in range(count):
            width, height = ((500, 375), (300, 400), (40, 30), (900, 700))[i % 4]
            image = picture(label * 1000 + i, width=width, height=height, colour=i % 5 > 0)
            save(image, root / f"class{label}" / f"{i:03}.{'png' if i % 3 == 0 else 'jpg'}")
    (root / "class0" / "bad.jpg").write_bytes(b"")
    return root


def run(root: Path, target: Path, **options: object) -> Prepared:
    return prepare(
        target,
        source="folder",
        root=root,
        **({"size": 32, "workers": 1, "val_fraction": 0.2, "test_fraction": 0.2} | options),
    )  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("raw") / "photographs")


@pytest.fixture(scope="module")
def encoded(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return run(root, tmp_path_factory.mktemp("p") / "encoded", store="encoded")


@pytest.mark.parametrize(
    "options", [{}, {"size": 224}, {"size": (24, 40), "resize": "pad", "background": "#204060"}, {"channels": 1}]
)
def test_encoded_images_are_the_packed_ones(root: Path, tmp_path: Path, options: dict[str, object]) -> None:
    packed = run(root, tmp_path / "packed", **options)
    encoded = run(root, tmp_path / "encoded", store="encoded", **options)
    assert (packed.store, encoded.store) == ("packed", "encoded")
    for told in ("classes", "counts", "mean", "std", "size", "channels", "notes", "source_digest"):
        assert getattr(encoded, told) == getattr(packed, told)
    assert encoded.quarantined() == packed.quarantined() != []
    for split in packed.counts:
        one, other = packed.split(split), encoded.split(split)
        assert np.array_equal(one.images, np.asarray(other.images))
        assert other.images.shape == one.images.shape
        assert np.array_equal(one.targets, other.targets) and np.array_equal(one.ids, other.ids)
    train, same = packed.split("train").images, encoded.split("train", limit=9).images
    assert len(same) == 9
    for key in (0, -1, slice(2, 5), np.array([3, 1]), train[:9, 0, 0, 0] > 99):
        assert np.array_equal(same[key], train[:9][key])
    assert np.array_equal(same[2:4, :3], train[2:4, :3])
    assert packed.digest != encoded.digest


def test_workers_and_another_run_change_no_byte(root: Path, encoded: Prepared, tmp_path: Path) -> None:
    again = run(root, tmp_path / "two", store="encoded", workers=2)
    assert content(again.folder) == content(encoded.folder)
    assert set(content(again.folder)) == {
        "dataset.json",
        "images.bin",
        "offsets.npy",
        "quarantine.csv",
        "samples.parquet",
    }
    smaller = sum(path.stat().st_size for path in root.rglob("class*/*.*"))
    assert (again.folder / "images.bin").stat().st_size == smaller  # bytes of the files, nothing else


@pytest.mark.parametrize("ranks", [1, 2])
def test_batches_are_the_packed_ones_in_order_whatever_threads_and_ranks(
    root: Path, encoded: Prepared, tmp_path: Path, ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = run(root, tmp_path / "packed")
    wanted = list(Batches(packed.split("train"), 8, shuffle=True, seed=3))
    for threads in (1, 3):
        monkeypatch.setattr(encoded_images, "cores", lambda threads=threads: threads)
        parts = [
            list(Batches(encoded.split("train"), 8, shuffle=True, seed=3, rank=rank, ranks=ranks))
            for rank in range(ranks)
        ]
        for (images, targets), *found in zip(wanted, *parts, strict=True):
            assert torch.equal(images, torch.cat([each for each, _ in found]))
            assert torch.equal(targets, torch.cat([each for _, each in found]))


def test_an_epoch_that_is_left_early_ends_its_threads_and_the_next_is_another(encoded: Prepared) -> None:
    batches = Batches(encoded.split("train"), 4, shuffle=True, seed=0)
    first = next(iter(batches))[0]
    again = next(iter(batches))[0]
    batches.epoch = 1
    assert torch.equal(first, again) and not torch.equal(first, next(iter(batches))[0])
    assert batches.waited > 0


def test_it_can_be_sent_to_another_process(encoded: Prepared) -> None:
    images = encoded.split("val").images
    images[0]
    assert np.array_equal(pickle.loads(pickle.dumps(images))[:], images[:])


def test_sources_without_files_and_damaged_bytes_are_told(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the images of digits are no files; set data\.store: packed"):
        prepare(tmp_path / "p", source="digits", store="encoded")
    with pytest.raises(UserError, match="did you mean 'encoded'"):
        run(root, tmp_path / "p", store="encode")
    data = run(root, tmp_path / "p", store="encoded")
    file = data.folder / "images.bin"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"images\.bin is damaged"):
        read(data.folder).split("train")
    file.unlink()
    with pytest.raises(UserError, match="changed after it was written"):
        read(data.folder).split("train")[0]


FLAT = """
import sys, resource
sys.path.insert(0, {src!r})
from neocog.data.loader import Batches
from neocog.data.prepared import read
def peak(): return [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
batches = Batches(read({folder!r}).split("train"), 8, shuffle=True)
next(iter(batches))
before = peak()
for _ in range(2):
    for images, _ in batches:
        pass
    batches.epoch += 1
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_memory_holds_what_is_decoded_and_not_the_file(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for label in range(2):
        for i in range(30):
            noise = np.random.default_rng((label, i)).integers(0, 256, (400, 500, 3), dtype=np.uint8)
            path = root / f"class{label}" / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise).save(path, compress_level=0)
    data = run(root, tmp_path / "p", store="encoded")
    assert (data.folder / "images.bin").stat().st_size > 35_000_000
    src = str(Path(encoded_images.__file__).parents[3])
    code = FLAT.format(src=src, folder=str(data.folder))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert int(out.stdout) < 18_000  # kB
