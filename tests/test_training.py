"""Recipes do what they say: schedules, weight decay, augmentation, moving averages, early stopping, and what the optimizer really holds."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neocog import architectures
from neocog.core.errors import Diverged, OutOfMemory, UserError
from neocog.data import augment
from neocog.data.loader import Batches
from neocog.inspect import fastest
from neocog.tasks import task as tasks
from neocog.tasks.classification import objective
from neocog.training import checkpoint, gradients, memory, optimizer
from neocog.training.fit import fit
from neocog.training.module import Learner
from neocog.training.recipe import Optimizer, Recipe, Schedule

SMALL = {"vgg": {"widths": [4, 8], "depths": [1, 1], "units": 16}, "resnet": {"widths": [4, 8], "depths": [1, 1]}}
QUICK = Recipe(epochs=3, batch_size=128, optimizer="adam", lr=0.003, flip=0.0, threads=1, accelerator="cpu")


def train(digits, tmp_path, recipe, *, name="mlp", sizes=None):
    def build():
        return architectures.build(name, channels=1, size=8, classes=10, sizes=sizes)

    return fit(build, digits, recipe, name=name, work=tmp_path / "work")


# schedules


@pytest.mark.parametrize("schedule", Schedule.__args__)
@given(st.integers(1, 500), st.floats(0, 0.9))
@settings(max_examples=40, deadline=None)
def test_a_schedule_stays_between_0_and_1(schedule, steps, warmup):
    factor = optimizer.schedule(Recipe(schedule=schedule, warmup=warmup), steps)
    factors = [factor(step) for step in range(steps + 2)]
    assert all(0 <= value <= 1 + 1e-9 for value in factors)


@pytest.mark.parametrize("schedule", Schedule.__args__)
def test_a_warm_up_rises_to_the_whole_lr(schedule):
    factor = optimizer.schedule(Recipe(schedule=schedule, warmup=0.5), 100)
    rising = [factor(step) for step in range(50)]
    assert rising == sorted(rising)
    assert rising[-1] == pytest.approx(1.0)


def test_schedules_have_their_shapes():
    def at(step, **recipe):
        return optimizer.schedule(Recipe(warmup=0.0, **recipe), 100)(step)

    assert at(99, schedule="constant") == 1
    assert [at(step, schedule="step", period=0.5, drop=0.1) for step in (0, 49, 50, 99)] == pytest.approx(
        [1, 1, 0.1, 0.1]
    )
    assert at(50, schedule="exponential", period=0.5, drop=0.1) == pytest.approx(0.1)
    assert at(50, schedule="cosine") == pytest.approx(0.5)
    assert at(100, schedule="cosine", final=0.2) == pytest.approx(0.2)
    assert [at(step, schedule="cyclical", period=0.5) for step in (0, 25, 50)] == pytest.approx([1, 0, 1])
    assert [at(step, schedule="warm_restarts", period=0.5) for step in (0, 25, 50)] == pytest.approx([1, 0.5, 1])
    assert at(50, schedule="warm_restarts", period=0.25, stretch=2.0) == pytest.approx(
        0.5
    )  # half of the second, doubled period


def test_cosine_is_torchs():
    step = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(step, T_max=40)
    ours = optimizer.schedule(Recipe(schedule="cosine", warmup=0.0), 40)
    for turn in range(40):
        assert step.param_groups[0]["lr"] == pytest.approx(ours(turn), abs=1e-9)
        step.step()
        theirs.step()


# optimizer


@pytest.mark.parametrize("name", Optimizer.__args__)
def test_each_optimizer_trains_and_holds_what_the_recipe_says(name, digits, tmp_path):
    recipe = replace(QUICK, optimizer=name, lr={"sgd": 0.05, "rmsprop": 0.0003}.get(name, 0.003))
    fitted = train(digits, tmp_path, recipe)
    assert fitted.history[-1]["val/top1"] > 0.6
    model = nn.Linear(2, 2)
    chosen = optimizer.optimizer(model, recipe, decayed=optimizer.decayed(model))
    torch.optim.lr_scheduler.LambdaLR(chosen, optimizer.schedule(recipe, 100))  # whose warm-up begins below lr
    held = optimizer.described(chosen)
    assert held["optimizer.class"].lower() == name
    assert held["optimizer.lr"] == recipe.lr
    assert held["optimizer.weight_decay"] == recipe.weight_decay


def test_norms_and_biases_are_spared_from_weight_decay():
    model = architectures.build("resnet", channels=1, size=28, classes=10)
    with_decay, without = optimizer.groups(model, Recipe(weight_decay=0.1), decayed=optimizer.decayed(model), layers={})
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.1, 0.0)
    spared = {id(parameter) for parameter in without["params"]}
    for key, parameter in model.named_parameters():
        module = model.get_submodule(key.rpartition(".")[0])
        assert (id(parameter) in spared) == (isinstance(module, nn.BatchNorm2d) or key.endswith("bias"))
    assert len(spared) + len(with_decay["params"]) == len(list(model.parameters()))


# augmentation


def pictures(count=4, size=6, channels=1):
    return torch.randint(0, 256, (count, size, size, channels), dtype=torch.uint8)


def test_a_certain_flip_is_a_flip_and_no_shift_is_no_change():
    images = pictures(channels=3)
    assert torch.equal(augment.shift_and_flip(images, flip=1.0, crop=0), images.flip(2))
    assert torch.equal(augment.shift_and_flip(images, flip=0.0, crop=0), images)


@given(st.integers(1, 3), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_shift_moves_by_at_most_crop_and_repeats_the_border(crop, seed):
    torch.manual_seed(seed)
    images = pictures(count=1)
    shifted = augment.shift_and_flip(images, flip=0.0, crop=crop)
    padded = nn.functional.pad(images[..., 0].float()[None], (crop,) * 4, mode="replicate")[0, 0]
    windows = padded.unfold(0, 6, 1).unfold(1, 6, 1).reshape(-1, 6, 6)
    assert any(torch.equal(window, shifted[0, ..., 0].float()) for window in windows)


def test_cutout_sets_at_most_one_square_to_the_mean():
    cut = augment.cut_out(torch.ones(64, 3, 8, 8), side=4)
    zeros = (cut == 0).sum((1, 2, 3)) / 3
    assert zeros.max() == 16 and zeros.min() > 0
    assert torch.equal(cut[:, 0], cut[:, 2])


@pytest.mark.parametrize("mix", [augment.mix_up, augment.cut_mix])
def test_mixed_targets_are_shares_that_follow_the_pixels(mix):
    torch.manual_seed(0)
    images = torch.arange(8.0)[:, None, None, None].expand(8, 1, 10, 10).contiguous()
    mixed, targets = mix(images, torch.eye(8), alpha=1.0)
    assert torch.allclose(targets.sum(1), torch.ones(8))
    # each image is its own number, so the mean pixel must be the target's mean number
    assert torch.allclose(mixed.mean((1, 2, 3)), targets @ torch.arange(8.0), atol=1e-4)


def test_normalized_images_have_mean_0_and_std_1(digits):
    images = torch.from_numpy(digits.split("train").images.copy())
    done = augment.normalize(images, mean=torch.tensor(digits.mean) * 255, std=torch.tensor(digits.std) * 255)
    assert done.shape == (len(images), 1, 8, 8)
    assert abs(done.mean()) < 1e-3 and abs(done.std() - 1) < 1e-3


@pytest.mark.parametrize(
    "extra",
    [{"cutout": 3}, {"mixup": 0.2}, {"cutmix": 1.0}, {"flip": 0.5, "crop": 1}, {"ema": 0.9}, {"clip_norm": 1.0}],
)
def test_each_extra_trains(extra, digits, tmp_path):
    assert train(digits, tmp_path, replace(QUICK, **extra)).history[-1]["val/top1"] > 0.5


# the loader


def test_an_epoch_sees_every_image_once_and_the_next_in_another_order(digits):
    split = digits.split("train")
    batches = Batches(split, 1, shuffle=True, seed=3)
    first = torch.cat([images for images, _ in batches])
    batches.epoch = 1
    second = torch.cat([images for images, _ in batches])
    assert not torch.equal(first, second)
    whole = sorted(image.tobytes() for image in split.images)
    assert (
        whole
        == sorted(image.numpy().tobytes() for image in first)
        == sorted(image.numpy().tobytes() for image in second)
    )


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_each_global_batch(digits, ranks):
    split = digits.split("train")
    alone = list(Batches(split, 96, shuffle=True, seed=1))
    together = [list(Batches(split, 96, shuffle=True, seed=1, rank=rank, ranks=ranks)) for rank in range(ranks)]
    for turn, (images, labels) in enumerate(alone):
        assert torch.equal(images, torch.cat([parts[turn][0] for parts in together]))
        assert torch.equal(labels, torch.cat([parts[turn][1] for parts in together]))


def test_sums_add_up_over_batches():
    logits, labels = torch.randn(50, 10), torch.randint(0, 10, (50,))
    whole = objective.means(objective.sums(logits, labels))
    parts = objective.means(objective.sums(logits[:20], labels[:20]) + objective.sums(logits[20:], labels[20:]))
    assert parts == pytest.approx(whole)
    assert whole["top1"] == pytest.approx((logits.argmax(1) == labels).float().mean().item())


# fit


def test_the_same_recipe_twice_ends_with_the_same_bits(digits, tmp_path):
    first, second = (train(digits, tmp_path / name, QUICK, name="lenet") for name in "ab")
    assert first.history == second.history
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)
    other_seed = train(digits, tmp_path / "c", replace(QUICK, seed=1), name="lenet")
    assert other_seed.history != first.history


def test_accumulated_batches_are_one_large_batch(digits, tmp_path):
    recipe = replace(QUICK, optimizer="sgd", lr=0.05, epochs=1, warmup=0.0, label_smoothing=0.0, crop=0)
    whole = train(digits, tmp_path / "a", replace(recipe, batch_size=256))
    halves = train(digits, tmp_path / "b", replace(recipe, batch_size=128, accumulate=2))
    for one, other in zip(whole.model.parameters(), halves.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_training_stops_when_nothing_gets_better_and_keeps_the_best(digits, tmp_path):
    recipe = replace(QUICK, epochs=30, lr=1e-7, schedule="constant", patience=2, keep="best")
    fitted = train(digits, tmp_path, recipe)
    assert len(fitted.history) < 30
    top1 = [row["val/top1"] for row in fitted.history]
    assert fitted.epoch == int(np.argmax(top1)) + 1
    assert len(fitted.history) == fitted.epoch + 2


def test_a_training_that_diverges_says_where_and_keeps_the_last_finite_checkpoint(digits, tmp_path, monkeypatch):
    real = Learner.training_step

    def poisoned(self, batch, batch_idx):
        return real(self, batch, batch_idx) * (float("nan") if self.current_epoch == 1 and batch_idx == 2 else 1.0)

    monkeypatch.setattr(Learner, "training_step", poisoned)
    with pytest.raises(
        Diverged, match=r"epoch 2, step \d+ \(lr 0\.003\); the checkpoint of epoch 1, the last finite one, is kept"
    ) as error:
        train(digits, tmp_path, QUICK)
    assert error.value.exit_code == 4
    last = checkpoint.latest(tmp_path / "work")
    assert last is not None and last.name.startswith("epoch-1.")
    weights = checkpoint.load(last)["state_dict"].values()
    assert all(value.isfinite().all() for value in weights)
    monkeypatch.undo()
    assert train(digits, tmp_path, QUICK).history[-1]["val/top1"] > 0.5, "without the poison it goes on from there"


def test_a_rate_far_too_high_diverges_in_the_first_epoch(digits, tmp_path):
    with pytest.raises(Diverged, match=r"epoch 1, step \d+ \(lr 1e\+18\); lower lr"):
        train(digits, tmp_path, replace(QUICK, optimizer="sgd", lr=1e18, schedule="constant", warmup=0.0))


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
@pytest.mark.parametrize("name", [name for name in architectures.names() if name != "svm"])  # solved in 32 bits
def test_every_architecture_trains_in_every_precision(name, precision, digits, tmp_path):
    label_smoothing = 0.0 if architectures.card(name).own_rule else 0.1
    recipe = replace(QUICK, epochs=1, precision=precision, label_smoothing=label_smoothing, batch_size=256)
    try:
        fitted = train(digits, tmp_path, recipe, name=name, sizes=SMALL.get(name))
    except UserError as error:  # torch's kernels for this processor are wrong: refused, and the remedy works
        assert gradients.is_wrong_over_single_pixels(), error
        [precision] = re.findall(r"set precision: (\S+)$", str(error))
        fitted = train(digits, tmp_path, replace(recipe, precision=precision), name=name, sizes=SMALL.get(name))
    assert np.isfinite(fitted.history[-1]["val/loss"])
    assert fitted.precision == precision and fitted.device == "cpu"
    assert next(fitted.model.parameters()).dtype == torch.float32


class Wrong(torch.autograd.Function):
    """The identity, whose gradient forgets its sign for half of the maps in bf16, as a broken kernel might."""

    @staticmethod
    def forward(context, images):
        return images.clone()

    @staticmethod
    def backward(context, gradient):
        return torch.cat([gradient[:, ::2], gradient[:, 1::2]], 1) if gradient.dtype == torch.bfloat16 else gradient


def lenet(*, broken):
    model = architectures.build("lenet", channels=1, size=8, classes=10)
    if broken:
        model.features[3].register_forward_hook(lambda module, given, maps: Wrong.apply(maps))
    return model


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_a_layer_whose_gradient_is_wrong_in_a_reduced_precision_is_named(precision, digits, tmp_path):
    recipe = replace(QUICK, epochs=1, precision=precision)
    with pytest.raises(
        UserError, match=rf"lenet cannot be trained with precision \(={precision}\).* features\.0\.weight"
    ):
        fit(partial(lenet, broken=True), digits, recipe, name="lenet", work=tmp_path / "work")
    assert not list((tmp_path / "work").glob("**/*.ckpt"))
    for broken, other in ((True, replace(recipe, precision="32-true")), (False, recipe)):
        assert fit(partial(lenet, broken=broken), digits, other, name="lenet", work=tmp_path / f"{broken}").history


@pytest.mark.parametrize("broken", [True, False])
def test_fastest_recommends_no_precision_with_wrong_gradients(broken):
    speeds = fastest.measure(
        partial(lenet, broken=broken),
        task=tasks.task("classification"),
        channels=1,
        size=(8, 8),
        classes=10,
        batch_size=8,
        seconds=0.01,
    )
    wrong = {speed.precision for speed in speeds if speed.wrong}
    assert wrong == ({"bf16-mixed"} if broken else set())
    assert not broken or [speed.precision for speed in speeds[:2]] == ["32-true", "32-true"], (
        "the right ones come first"
    )


def test_looking_at_the_gradients_leaves_the_training_as_it_is(digits, tmp_path, monkeypatch):
    recipe = replace(QUICK, epochs=1, precision="bf16-mixed", flip=0.5, crop=1)

    def weights(folder):
        return train(digits, tmp_path / folder, recipe, name="alexnet").model.state_dict()

    looked = weights("looked")  # dropout and normalization have a state that could leak
    monkeypatch.setattr(gradients, "check", lambda *arguments, **others: None)
    unlooked = weights("not")
    assert all(torch.equal(looked[name], unlooked[name]) for name in unlooked)


def test_a_window_of_accumulated_batches_is_never_cut(digits):
    split = digits.split("train")
    assert len(Batches(split, 100, shuffle=True)) == len(split.targets) // 100
    assert len(Batches(split, 100, shuffle=True, window=4)) % 4 == 0
    assert len(Batches(split, 100, shuffle=False)) * 100 >= len(split.targets)


def test_memory_that_runs_out_is_met_by_smaller_batches_if_asked(digits, tmp_path, monkeypatch):
    real = Learner.training_step

    def too_much(self, batch, batch_idx):
        if len(batch[1]) > 40:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", too_much)
    monkeypatch.setattr(memory, "largest_batch", lambda *arguments: 40)
    with pytest.raises(OutOfMemory, match=r"batch_size \(=128\): the largest batch that fits is 40"):
        train(digits, tmp_path / "stop", QUICK)
    fitted = train(digits, tmp_path / "go", replace(QUICK, on_oom="accumulate"))
    assert (fitted.recipe.batch_size, fitted.recipe.accumulate) == (32, 4)
    assert fitted.history[-1]["val/top1"] > 0.5
    monkeypatch.setattr(memory, "largest_batch", lambda *arguments: pytest.fail("it is known already what fits"))
    assert train(digits, tmp_path / "go", replace(QUICK, on_oom="accumulate")).history == fitted.history


def test_a_batch_larger_than_the_training_set_is_refused(digits, tmp_path):
    with pytest.raises(UserError, match=r"batch_size \(=5000\) is larger than the training set"):
        train(digits, tmp_path, replace(QUICK, batch_size=5000))


def test_a_moving_average_is_what_is_kept(digits, tmp_path):
    plain = train(digits, tmp_path / "a", QUICK)
    averaged = train(digits, tmp_path / "b", replace(QUICK, ema=0.99))
    assert plain.history[-1]["train/loss"] == averaged.history[-1]["train/loss"]  # the same steps were taken
    assert plain.history[-1]["val/loss"] != averaged.history[-1]["val/loss"]  # other weights were judged
