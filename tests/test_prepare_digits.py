"""scikit-learn's digits need no file and no network, and are always the same."""

import socket
from pathlib import Path

import numpy as np
import pytest
from pictures import content

from neocog.data.prepare import prepare, summary
from neocog.data.sources.digits import digits


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    theirs, ours = load_digits(), digits()
    np.testing.assert_array_equal(ours.targets, theirs.target)
    np.testing.assert_array_equal(ours.images[..., 0], np.rint(theirs.images * (255 / 16)))
    assert (ours.images.min(), ours.images.max(), ours.images.dtype) == (0, 255, np.uint8)


def test_digits_are_prepared_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    data = prepare(tmp_path / "p", source="digits", root=tmp_path / "nothing is read here")
    total = sum(data.num_images(split) for split in data.counts)
    assert (total, data.size, data.channels, len(data.classes)) == (1797, (8, 8), 1, 10)
    assert data.num_images("test") / total == pytest.approx(0.15, abs=0.03)
    assert data.num_images("val") / total == pytest.approx(1 / 12, abs=0.03)
    assert min(min(counts.values()) for counts in data.counts.values()) > 5  # every class in every split
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p"]


def test_twice_the_same_bytes_and_another_fraction_another_digest(tmp_path: Path) -> None:
    one, two = prepare(tmp_path / "one", source="digits"), prepare(tmp_path / "two", source="digits")
    assert content(one.folder) == content(two.folder)
    other = prepare(tmp_path / "other", source="digits", test_fraction=0.3)
    assert other.source_digest == one.source_digest
    assert other.digest != one.digest


def test_the_summary_shows_splits_by_class(tmp_path: Path) -> None:
    data = prepare(tmp_path / "p", source="digits")
    lines = summary(data).splitlines()
    assert lines[0].startswith("digits: 10 classes, 8 x 8 x 1, digest ")
    assert lines[1].split() == ["class", "train", "val", "test"]
    assert lines[12].split() == ["all", "1,373", "145", "279"]
    assert lines[13] == "quarantined: 0"
