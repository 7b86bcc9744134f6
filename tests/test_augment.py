"""Every augmentation that `augment` may list changes images, each by a chance of its own, the same again from the same seed."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from neocog import architectures
from neocog.core.errors import UserError
from neocog.data.augment import Augmentation
from neocog.data.augmentations import methods
from neocog.data.augmentations.apply import Augmentations
from neocog.data.augmentations.card import cards, check
from neocog.inspect import augmented
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

NAMES = list(cards())
ALWAYS = {"grayscale", "vertical_flip"}  # no chance but whether
SIZE = (24, 32)


def photographs(count=6, channels=3):
    """Smooth colored images, as photographs are: flat ones would hide what turns them."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = [128 + 90 * np.sin(rows / (3 + n) + columns / (5 + c) + c) for n in range(count) for c in range(channels)]
    images = np.stack(waves).reshape(count, channels, *SIZE).transpose(0, 2, 3, 1)
    return torch.from_numpy(np.ascontiguousarray(images).astype(np.uint8))


def augmentations(*augment, channels=3):
    check(augment)
    return Augmentations(augment, size=SIZE, fill=[120.0] * channels)


def test_there_are_these():
    wanted = {
        "random_resized_crop",
        "rotation",
        "color_jitter",
        "trivial_augment",
        "rand_augment",
        "aug_mix",
        "random_erasing",
    }
    assert wanted <= set(NAMES) and all(callable(getattr(methods, name)) for name in NAMES)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_each_changes_images_of_any_color_and_keeps_their_shape(name, channels):
    images = photographs(channels=channels)
    apply = augmentations({"method": name}, channels=channels)
    torch.manual_seed(0)
    changed = apply(images)
    assert changed.shape == images.shape and changed.dtype == torch.uint8
    same = [torch.equal(a, b) for a, b in zip(changed, images, strict=True)]
    assert all(same) if name == "grayscale" and channels == 1 else not all(same)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALWAYS])
def test_each_image_has_its_own_chance_which_the_seed_determines(name):
    images = photographs(count=1).expand(8, *SIZE, 3)
    apply = augmentations({"method": name})
    torch.manual_seed(1)
    changed = apply(images)
    assert len({image.numpy().tobytes() for image in changed}) > 2
    torch.manual_seed(1)
    assert torch.equal(apply(images), changed)


def test_chance_says_how_many_images_change():
    images = photographs(count=1).expand(400, *SIZE, 3)
    torch.manual_seed(0)
    changed = augmentations({"method": "vertical_flip", "chance": 0.25})(images)
    assert 60 < sum(not torch.equal(a, b) for a, b in zip(changed, images, strict=True)) < 140


def test_they_come_one_after_the_other():
    images = photographs()
    twice = augmentations({"method": "vertical_flip"}, {"method": "vertical_flip"})
    assert torch.equal(twice(images), images)
    assert torch.equal(augmentations({"method": "vertical_flip"})(images), images.flip(1))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, r"^augment\[1\] names no method; write method: one of random_resized_crop"),
        ({"method": "rotate"}, r"^augment\[1\]\.method \(='rotate'\): .*did you mean 'rotation'\?"),
        ({"method": "rotation", "degree": 5}, r"^augment\[1\]\.degree: unknown key; did you mean 'degrees'\?"),
        ({"method": "rotation", "degrees": "5"}, r"^augment\[1\]\.degrees \(='5'\): .*write 5"),
        ({"method": "rotation", "chance": 2.0}, r"^augment\[1\]\.chance \(=2\.0\): .*less than or equal to 1"),
        (
            {"method": "random_erasing", "scale": [0.5, 0.1]},
            r"scale \(=\[0\.5, 0\.1\]\) must not fall; set scale: \[0\.1, 0\.5\]",
        ),
    ],
)
def test_what_is_wrong_with_a_list_is_one_sentence(entry, said):
    with pytest.raises(UserError, match=said):
        Recipe(augment=({"method": "grayscale"}, entry))


def test_training_sees_them_and_a_cut_off_one_ends_with_the_same_bits(digits, tmp_path):
    recipe = Recipe(epochs=2, images=128, batch_size=64, threads=1, augment=({"method": "rotation"},), lr=0.05)
    build = partial(architectures.build, "lenet", channels=1, size=8, classes=10, sizes={})

    class Cut(Exception):
        pass

    def cut(row, seconds, last):
        raise Cut

    whole = fit(build, digits, recipe, name="lenet", work=tmp_path / "whole").model.state_dict()
    with pytest.raises(Cut):
        fit(build, digits, recipe, name="lenet", work=tmp_path / "cut", on_epoch=cut)
    again = fit(build, digits, recipe, name="lenet", work=tmp_path / "cut").model.state_dict()
    plain = fit(build, digits, replace(recipe, augment=()), name="lenet", work=tmp_path / "plain").model.state_dict()
    assert all(torch.equal(value, again[key]) for key, value in whole.items())
    assert not any(torch.equal(value, plain[key]) for key, value in whole.items())


def test_a_sheet_shows_images_as_they_are_and_as_epochs_see_them(digits):
    recipe = Recipe(augment=({"method": "random_erasing"},), flip=0.5)
    seen = augmented.seen(digits, recipe, images=3, epochs=4)
    assert torch.equal(seen[0], torch.from_numpy(digits.split("train", limit=3).images.copy()))
    assert seen.shape == (5, 3, 8, 8, 1)
    assert all(not torch.equal(seen[0], each) for each in seen[1:]) and not torch.equal(seen[1], seen[2])
    as_they_are = augmented.seen(digits, Recipe(), images=3, epochs=1)
    assert torch.equal(as_they_are[0], as_they_are[1])
    assert augmented.sheet(digits, recipe, images=3, epochs=4).size == (4 + 5 * 116 + 4, 4 + 3 * 116)


def test_none_is_on_by_default():
    assert Recipe().augment == () and not Augmentation().is_on
