"""An image's split follows from its own content: others neither move it nor are moved by it."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.core.errors import UserError
from neocog.data.decoding.decode import content_hash
from neocog.data.splits import assign, enough, position

hashes = st.lists(st.binary(min_size=1, max_size=8).map(lambda b: hashlib.sha256(b).hexdigest()), max_size=60)
fractions = st.floats(0.01, 0.45)
BOTH = ("val", "test")


def split_all(sha256: list[str], *, val: float = 0.1, test: float = 0.2) -> list[str]:
    return assign(["train"] * len(sha256), sha256, carved=BOTH, val_fraction=val, test_fraction=test)


@settings(deadline=None)
@given(hashes, hashes, fractions, fractions)
def test_adding_images_moves_none_of_the_others(old: list[str], new: list[str], val: float, test: float) -> None:
    before = dict(zip(old, split_all(old, val=val, test=test), strict=True))
    grown = new[::2] + old + new[1::2]
    after = dict(zip(grown, split_all(grown, val=val, test=test), strict=True))
    assert all(after[sha] == split for sha, split in before.items())


def test_control_a_split_by_rank_would_move_images() -> None:
    shas = [hashlib.sha256(bytes([i])).hexdigest() for i in range(60)]

    def by_rank(some: list[str]) -> dict[str, str]:
        ranked = sorted(some)
        return {sha: "test" if i < len(ranked) // 5 else "train" for i, sha in enumerate(ranked)}

    old, grown = by_rank(shas[:40]), by_rank(shas)
    assert any(grown[sha] != split for sha, split in old.items())


@settings(deadline=None)
@given(hashes, fractions, fractions, fractions)
def test_one_fraction_does_not_move_what_the_other_holds(shas: list[str], val: float, less: float, more: float) -> None:
    first, second = split_all(shas, val=val, test=less), split_all(shas, val=val, test=more)
    assert all((a == "val") == (b == "val") for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.2), (0.0833, 0.15), (0.3, 0.3)])
def test_the_fractions_hold_in_each_class(val: float, test: float) -> None:
    count = 4000
    for label in range(3):
        shas = [hashlib.sha256(f"{label}/{i}".encode()).hexdigest() for i in range(count)]
        splits = split_all(shas, val=val, test=test)
        for name, share in (("val", val), ("test", test)):
            spread = (share * (1 - share) / count) ** 0.5
            assert abs(splits.count(name) / count - share) < 5 * spread


def test_a_split_that_the_source_names_is_kept() -> None:
    shas = [hashlib.sha256(bytes([i])).hexdigest() for i in range(200)]
    named = ["train"] * 100 + ["test"] * 100
    splits = assign(named, shas, carved=("val",), val_fraction=0.2, test_fraction=0.5)
    assert splits[100:] == named[100:]
    assert set(splits[:100]) == {"train", "val"}


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(UserError, match=r"val_fraction \(=0.5\).*test_fraction \(=0.5\)"):
        split_all(["ab" * 32], val=0.5, test=0.5)


def test_position_covers_the_unit_interval() -> None:
    assert position("0" * 64) == 0
    assert 1 - 1e-12 < position("f" * 64) < 1


def test_the_hash_tells_shapes_and_pixels_apart() -> None:
    flat = np.arange(16, dtype=np.uint8)
    images = [flat.reshape(4, 4), flat.reshape(2, 8), flat.reshape(4, 4)[::-1]]
    assert len({content_hash(image) for image in images}) == 3
    assert content_hash(images[2]) == content_hash(images[2].copy())


def few(classes: int, images: int) -> tuple[list[str], list[int]]:
    """Hashes and labels of classes with `images` each."""
    numbers = range(classes * images)
    return [hashlib.sha256(f"few {i}".encode()).hexdigest() for i in numbers], [i // images for i in numbers]


@pytest.mark.parametrize(("classes", "images"), [(1000, 2), (100, 3), (50, 1)])
def test_every_class_keeps_an_image_to_train_on_and_nothing_else_moves(classes: int, images: int) -> None:
    shas, labels = few(classes, images)
    plain = split_all(shas)
    splits = assign(
        ["train"] * len(shas),
        shas,
        carved=BOTH,
        val_fraction=0.1,
        test_fraction=0.2,
        shown=[(label,) for label in labels],
    )
    untrained = {*labels} - {label for label, split in zip(labels, plain, strict=True) if split == "train"}
    assert untrained  # the control: by content alone, some have none
    moved = [i for i, (before, after) in enumerate(zip(plain, splits, strict=True)) if before != after]
    assert sorted(labels[i] for i in moved) == sorted(untrained)  # one of each
    assert {splits[i] for i in moved} == {"train"}


@settings(deadline=None)
@given(hashes, hashes, st.integers(1, 8), fractions, fractions)
def test_adding_images_moves_others_only_in_classes_that_had_none_to_train_on(
    old: list[str], new: list[str], classes: int, val: float, test: float
) -> None:
    def cut(shas: list[str]) -> tuple[dict[str, str], set[int]]:
        labels = [int(sha[-4:], 16) % classes for sha in shas]
        how = {"carved": BOTH, "val_fraction": val, "test_fraction": test}
        plain = assign(["train"] * len(shas), shas, **how)  # type: ignore[arg-type]
        trained = {label for label, split in zip(labels, plain, strict=True) if split == "train"}
        return dict(
            zip(shas, assign(["train"] * len(shas), shas, shown=[(label,) for label in labels], **how), strict=True)
        ), trained  # type: ignore[arg-type]

    before, trained = cut(old)
    after, _ = cut(old + new)
    assert all(after[sha] == split for sha, split in before.items() if int(sha[-4:], 16) % classes in trained)
    assert {int(sha[-4:], 16) % classes for sha, split in after.items() if split == "train"} == {
        int(sha[-4:], 16) % classes for sha in after
    }


def test_copies_of_the_image_that_is_kept_stay_with_it_and_given_splits_stay_given() -> None:
    low = [sha for i in range(200) if position(sha := hashlib.sha256(bytes([i])).hexdigest()) < 0.2]
    shas, labels, named = [low[0], low[0], low[1], low[2]], [0, 0, 0, 1], ["train", "train", "train", "test"]
    splits = assign(
        named, shas, carved=("val",), val_fraction=0.999, test_fraction=0.1, shown=[(label,) for label in labels]
    )
    assert splits[0] == splits[1]
    assert splits.count("train") in (1, 2)
    assert splits[3] == "test"


def test_the_fraction_that_is_named_fills_the_split() -> None:
    shas, labels = few(2, 3)
    for split in BOTH:
        how: dict[str, float] = {"val_fraction": 0.01, "test_fraction": 0.01}
        found = enough(split, ["train"] * 6, shas, carved=BOTH, shown=[(label,) for label in labels], **how)
        assert found is not None
        filled = assign(
            ["train"] * 6,
            shas,
            carved=BOTH,
            shown=[(label,) for label in labels],
            **(how | {f"{split}_fraction": found}),
        )
        assert split in filled
        less = assign(
            ["train"] * 6,
            shas,
            carved=BOTH,
            shown=[(label,) for label in labels],
            **(how | {f"{split}_fraction": found - 0.01}),
        )
        assert split not in less
    assert (
        enough(
            "val",
            ["train"] * 2,
            shas[::3],
            carved=BOTH,
            shown=[(label,) for label in labels[::3]],
            val_fraction=0.1,
            test_fraction=0.1,
        )
        is None
    )
