"""Fairness that acts: images drawn alike, the worst group's loss weighed up, thresholds, gaps that are told. Off, nothing changes."""

import subprocess
import sys
from dataclasses import replace

import fairlearn.metrics
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neocog import architectures, compression
from neocog.bundle import write
from neocog.compression.chain import export
from neocog.compression.chain.candidate import begin
from neocog.core.errors import UserError
from neocog.data import prepared_writer
from neocog.data.augment import normalize
from neocog.data.loader import Batches, drawn_alike
from neocog.data.prepared import SPLITS
from neocog.params import load
from neocog.statistics.slices import FEW
from neocog.tasks.classification import group_gaps, objective, thresholds
from neocog.tasks.task import task
from neocog.training.fairness import GroupDRO
from neocog.training.fit import fit
from neocog.training.module import Learner
from neocog.training.programs import pretraining
from neocog.training.programs.supervised import SupervisedLearning
from neocog.training.recipe import Recipe

RECIPE = Recipe(epochs=4, batch_size=64, optimizer="adamw", lr=0.003, label_smoothing=0.0, threads=1, accelerator="cpu")
GROUPS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(lambda drawn: np.array(drawn, np.int64))


@pytest.fixture(scope="session")
def planted(digits, tmp_path_factory):
    """Ones, sevens, nines: a bright corner marks 95 % of the nines trained on and 5 % of the others; elsewhere every image is twice."""
    parts = {name: digits.split(name) for name in SPLITS}
    kept = {name: np.flatnonzero(np.isin(part.targets, (1, 7, 9))) for name, part in parts.items()}
    kept |= {name: np.repeat(kept[name], 2) for name in ("val", "test")}
    images = np.concatenate([part.images[kept[name]] for name, part in parts.items()])
    labels = np.concatenate([part.targets[kept[name]] for name, part in parts.items()])
    splits = [name for name in SPLITS for _ in kept[name]]
    chance = np.random.default_rng(0)
    marked = np.where(
        np.array(splits) == "train",
        chance.random(len(labels)) < np.where(labels == 9, 0.95, 0.05),
        np.arange(len(labels)) % 2,
    )
    images[marked == 1, :3, :3] = 255
    return prepared_writer.write(
        tmp_path_factory.mktemp("planted") / "prepared",
        name="planted",
        classes=("one", "seven", "nine"),
        images=images,
        samples=prepared_writer.Samples(
            rows=np.arange(len(labels)),
            targets=np.searchsorted((1, 7, 9), labels),
            splits=splits,
            sha256=[f"{number:064x}" for number in chance.permutation(len(labels))],
            sources=[str(number) for number in range(len(labels))],
            groups={"mark": ["yes" if each else "no" for each in marked.tolist()]},
        ),
        source_digest="planted",
    )


def train(data, work, recipe, *, name="mlp", **how):
    def build():
        return architectures.build(name, channels=1, size=8, classes=len(data.classes))

    return fit(build, data, recipe, name=name, work=work, **how)


def worst(model, data, split="test"):
    """Accuracy of the worst (class, mark), and of all images."""
    part, (cells, _) = data.split(split), data.cells(split, "mark")
    images = torch.from_numpy(part.images[:].copy()).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (data.mean, data.std))
    with torch.no_grad():
        right = model((images - mean) / std).argmax(1).numpy() == part.targets
    return min(right[cells == cell].mean() for cell in np.unique(cells)), right.mean()


# drawing alike


@given(GROUPS, st.integers(1, 200), st.integers(0, 9))
def test_each_group_is_drawn_as_often_as_any_other_and_so_is_each_of_its_images(groups, count, seed):
    drawn = drawn_alike(groups, count, np.random.default_rng(seed))
    assert len(drawn) == count
    of_group = [np.sum(groups[drawn] == group) for group in np.unique(groups)]
    assert max(of_group) - min(of_group) <= 1
    for group in np.unique(groups):
        of_image = [np.sum(drawn == place) for place in np.flatnonzero(groups == group)]
        assert max(of_image) - min(of_image) <= 1


def test_by_default_the_batches_are_those_of_a_plain_permutation(digits):
    """What every recipe so far was trained on, written out: epoch for epoch the same images in the same order."""
    split = digits.split("train")
    batches = Batches(split, 100, shuffle=True, seed=3)
    for epoch in (0, 1):
        batches.epoch = epoch
        order = np.random.default_rng((3, epoch)).permutation(len(split.targets))
        for start, (images, labels) in zip(range(0, 10**6, 100), batches, strict=False):
            rows = order[start : start + 100]
            assert np.array_equal(images.numpy(), split.images[rows])
            assert np.array_equal(labels.numpy(), split.targets[rows])


def test_a_balanced_epoch_is_as_long_and_each_rank_has_its_part(planted):
    split, (cells, _) = planted.split("train"), planted.cells("train", "mark")
    plain = Batches(split, 60, shuffle=True, seed=1)
    alike = Batches(split, 60, shuffle=True, seed=1, alike=cells, indices=True)
    assert len(alike) == len(plain) == len(list(alike))
    places = torch.cat([batch[2] for batch in alike]).numpy()
    of_cell = np.bincount(cells[places])
    assert of_cell.max() - of_cell.min() <= 1 and np.bincount(cells).max() > 5 * np.bincount(cells).min()
    parts = [list(Batches(split, 60, shuffle=True, seed=1, alike=cells, rank=rank, ranks=2)) for rank in (0, 1)]
    for turn, (images, labels, _) in enumerate(alike):
        assert torch.equal(images, torch.cat([part[turn][0] for part in parts]))
        assert torch.equal(labels, torch.cat([part[turn][1] for part in parts]))


@pytest.mark.parametrize("balance", ["none", "class", "group"])
def test_pretraining_draws_images_as_the_epochs_do(balance, planted):
    class Watcher(torch.nn.Linear):
        def pretrain(self, batches, *, seed, report):
            self.seen = torch.cat(list(batches()))

    watcher, recipe = Watcher(1, 1), replace(RECIPE, balance=balance, groups="mark")
    pretraining.pretrain(
        Learner.of(watcher, planted, recipe, program=SupervisedLearning()),
        planted,
        device=torch.device("cpu"),
        name="watcher",
    )
    split = planted.split("train")
    alike = {"none": None, "class": split.targets, "group": planted.cells("train", "mark")[0]}[balance]
    drawn = torch.cat([images for images, *_ in Batches(split, 64, shuffle=True, seed=0, alike=alike)])
    assert torch.equal(
        watcher.seen, normalize(drawn, mean=torch.tensor(planted.mean) * 255, std=torch.tensor(planted.std) * 255)
    )


def test_cells_are_the_classes_by_the_values_and_stand_where_the_images_do(planted):
    cells, names = planted.cells("train", "mark")
    labels, marks = planted.split("train").targets, planted.groups("train")["mark"]
    assert names[0] == "one, mark no" and len(names) == 6
    told = [f"{planted.classes[label]}, mark {mark}" for label, mark in zip(labels, marks, strict=True)]
    assert [names[cell] for cell in cells] == told
    first, _ = planted.cells("train", "mark", limit=20)
    assert len(first) == len(planted.split("train", limit=20).targets) == 20


# group DRO


@given(st.lists(st.floats(0, 50), min_size=1, max_size=30), st.randoms(use_true_random=False), st.floats(0.001, 1))
def test_weights_stay_shares_and_move_towards_the_group_with_the_larger_loss(losses, chance, step):
    members = torch.tensor([*range(4), *(chance.randrange(4) for _ in losses)])
    dro, values = GroupDRO(members, step=step), torch.tensor([0.0] * 4 + losses)
    places = torch.arange(len(members))
    for _ in range(3):
        before = dro.weights
        dro.loss(values, places)
        assert dro.weights.sum().item() == pytest.approx(1, abs=1e-5) and (dro.weights >= 0).all()
        means = torch.stack([values[members == group].mean() for group in range(4)])
        assert dro.weights[means.argmax()] >= before[means.argmax()] - 1e-6
        assert dro.weights[means.argmin()] <= before[means.argmin()] + 1e-6


def test_the_weights_are_those_of_the_papers_algorithm():
    members, losses = torch.tensor([0, 0, 1, 2]), torch.tensor([1.0, 3.0, 0.5, 9.0], requires_grad=True)
    dro = GroupDRO(members, step=0.1)
    loss = dro.loss(losses[:3], torch.tensor([0, 1, 2]))  # nothing of group 2
    raised = np.array([np.exp(0.1 * 2.0), np.exp(0.1 * 0.5), 1.0])
    assert dro.weights.numpy() == pytest.approx(raised / raised.sum())
    assert loss.item() == pytest.approx(dro.weights[0].item() * 2.0 + dro.weights[1].item() * 0.5)
    loss.backward()
    first, second, _ = dro.weights.tolist()
    assert losses.grad.numpy() == pytest.approx([first / 2, first / 2, second, 0])


def test_two_ranks_together_have_the_loss_and_the_weights_of_one():
    members, losses = torch.tensor([0, 0, 1, 2, 2, 1]), torch.tensor([1.0, 3.0, 0.5, 9.0, 2.0, 4.0])
    alone, places = GroupDRO(members, step=0.1), torch.arange(6)
    whole = alone.loss(losses, places)
    parts = [torch.tensor(part) for part in ([0, 1, 3], [2, 4, 5])]
    told = []  # what each rank would hand in
    for part in parts:
        GroupDRO(members, step=0.1).loss(losses[part], part, added=lambda mine: told.append(mine.clone()) or mine)
    ranks = [GroupDRO(members, step=0.1) for _ in parts]
    found = [
        dro.loss(losses[part], part, ranks=2, added=lambda _: sum(told)) for dro, part in zip(ranks, parts, strict=True)
    ]
    assert torch.stack(found).mean().item() == pytest.approx(whole.item())
    assert all(torch.equal(dro.weights, alone.weights) for dro in ranks)


def test_losses_of_images_have_the_loss_as_their_mean():
    logits, labels = torch.randn(20, 5), torch.randint(0, 5, (20,))
    each = objective.loss(logits, labels, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(each.mean(), objective.loss(logits, labels, label_smoothing=0.1))


# trainings


@pytest.mark.parametrize(
    "how",
    [
        {"balance": "group"},
        {"objective": "group_dro", "dro_step": 0.05, "balance": "group"},
        {"objective": "group_dro", "dro_step": 0.05},
    ],
)
def test_the_worst_group_is_right_more_often_where_a_mark_misleads(how, planted, tmp_path):
    plain, _ = worst(train(planted, tmp_path / "a", RECIPE).model, planted)
    fair, overall = worst(train(planted, tmp_path / "b", replace(RECIPE, groups="mark", **how)).model, planted)
    assert plain < 0.6, "the mark misleads"
    assert fair > plain + 0.2 and overall > 0.9


def test_group_dro_goes_on_with_the_same_bits_after_it_was_cut_off(planted, tmp_path):
    recipe = replace(RECIPE, epochs=3, groups="mark", objective="group_dro", dro_step=0.5, ema=0.9, images=300)
    whole = train(planted, tmp_path / "a", recipe)

    class CutOffError(Exception):
        pass

    def cut(row, seconds, last):
        raise CutOffError

    with pytest.raises(CutOffError):
        train(planted, tmp_path / "b", recipe, on_epoch=cut)
    resumed = train(planted, tmp_path / "b", recipe)
    assert resumed.history == whole.history and len(whole.history) == 3
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


ALONE_OR_TOGETHER = """
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
import torch
from neocog import architectures
from neocog.data import prepared
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

if __name__ == "__main__":
    data, work, devices = prepared.read(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    recipe = Recipe(epochs=1, batch_size=64, lr=0.05, threads=1, accelerator="cpu", groups="mark", balance="group",
                    objective="group_dro", dro_step=0.5, devices=devices, strategy="ddp" if devices > 1 else "auto")
    fitted = fit(partial(architectures.build, "mlp", channels=1, size=8, classes=3), data, recipe, name="mlp", work=work)
    if fitted.is_writer:
        torch.save(fitted.model.state_dict(), work.with_suffix(".pt"))
"""


@pytest.mark.slow
def test_two_processes_train_group_dro_like_one(planted, tmp_path):
    """Without chance two ranks must take the steps that one takes over the same batches: each sees half of a group, none the whole."""
    script = tmp_path / "script.py"
    script.write_text(ALONE_OR_TOGETHER)
    for devices in (1, 2):
        words = [planted.folder, tmp_path / str(devices), str(devices)]
        subprocess.run([sys.executable, script, *words], check=True, timeout=300)
    alone, together = (torch.load(tmp_path / f"{devices}.pt", weights_only=True) for devices in (1, 2))
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-3, atol=1e-4)


def test_auxiliary_classifiers_are_weighed_too(planted, tmp_path):
    recipe = replace(RECIPE, epochs=1, groups="mark", objective="group_dro")
    assert np.isfinite(train(planted, tmp_path, recipe, name="googlenet").history[-1]["train/loss"])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"balance": "group"}, "balance .=group. needs groups"),
        ({"objective": "group_dro"}, "objective .=group_dro. needs groups"),
        ({"objective": "group_dro", "groups": "mark", "mixup": 0.2}, "mixup .=0.2.*blend"),
        ({"objective": "group_dro", "groups": "mark", "cutmix": 1.0}, "cutmix .=1.0.*blend"),
    ],
)
def test_a_recipe_that_cannot_be_carried_out_is_refused(settings, told):
    with pytest.raises(UserError, match=told):
        Recipe(**settings)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("balance: groups", r"perceptron\.balance \(='groups'\) is not one of the choices"),
        (
            "objective: group_dro\n    groups: mark",
            r"perceptron\.objective \(=group_dro\): perceptron learns by its own",
        ),
        ("dro_step: 0.0", r"perceptron\.dro_step \(=0\.0\)"),
    ],
)
def test_params_are_checked_before_anything_runs(line, told, project):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("  perceptron:\n", f"  perceptron:\n    {line}\n"))
    with pytest.raises(UserError, match=told):
        load.for_stage("train@resnet")


@pytest.mark.parametrize("how", [{"balance": "group"}, {"objective": "group_dro"}])
def test_a_column_that_is_not_there_is_named_with_those_that_are(how, planted, digits, tmp_path):
    with pytest.raises(UserError, match=r"groups \(='camera'\) is no group column of .*; there are: mark"):
        train(planted, tmp_path, replace(RECIPE, groups="camera", **how))
    with pytest.raises(UserError, match=r"there is none; name a CSV of them in data\.groups"):
        train(digits, tmp_path, replace(RECIPE, groups="mark", **how))


@pytest.mark.parametrize("name", ["perceptron", "adaline", "madaline", "svm"])
def test_rules_of_their_own_say_what_does_not_apply(name, planted, tmp_path):
    with pytest.raises(UserError, match=f"objective .=group_dro.*{name} learns by its own rule"):
        train(planted, tmp_path, replace(RECIPE, groups="mark", objective="group_dro"), name=name)
    if name == "svm":
        with pytest.raises(UserError, match="svm is solved for all images at once; set balance: none"):
            train(planted, tmp_path, replace(RECIPE, balance="class"), name=name)
    else:
        assert train(planted, tmp_path, replace(RECIPE, epochs=1, balance="class"), name=name).history


# thresholds


@given(st.integers(0, 50), st.sampled_from([0.0, 0.02, 0.2]))
def test_thresholds_never_help_the_worst_class_at_more_cost_than_allowed(seed, drop):
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 4, 200)
    logits = chance.normal(size=(200, 4)).astype(np.float32) + 1.5 * np.eye(4, dtype=np.float32)[labels]
    logits += chance.normal(size=4).astype(np.float32)  # a model that is partial to some classes

    def scores(answers):
        right = answers.argmax(1) == labels
        return min(right[labels == label].mean() for label in range(4)), right.mean()

    found = thresholds.fit(logits, labels, labels, max_top1_drop=drop)
    (plain_worst, plain), (fair_worst, fair) = scores(logits), scores(logits + found)
    assert fair_worst >= plain_worst - 1e-9
    assert fair >= plain - drop - 1e-9


def test_thresholds_undo_what_makes_a_model_partial():
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 3, 3000)
    logits = chance.normal(size=(3000, 3)) + 3 * np.eye(3)[labels] + [0, 0, -2.5]
    found = thresholds.fit(logits, labels, labels, max_top1_drop=0.01)
    right = (logits + found).argmax(1) == labels
    assert (logits.argmax(1) == labels)[labels == 2].mean() < 0.6
    assert min(right[labels == label].mean() for label in range(3)) > 0.9


@pytest.mark.parametrize("column", [None, "mark"])
def test_the_graph_carries_the_thresholds_and_helps_the_worst_validation_images(column, planted, tmp_path):
    fitted = train(planted, tmp_path / "work", replace(RECIPE, epochs=2))
    about = {"kind": "trained", "name": "mlp", "architecture": "mlp", "sizes": {}}
    bundle = write.write(
        tmp_path / "mlp", fitted.model, planted, **about, provenance={"data_digest": planted.digest, "seed": 0}
    )
    before, val = begin(bundle), planted.split("val")
    step = {"method": "thresholds", "max_top1_drop": 0.05, "column": column}
    after = compression.apply(step, before, planted)
    groups = val.targets if column is None else planted.cells("val", column)[0]
    sizes = np.bincount(groups)

    def scores(candidate):
        right = export.logits(candidate.shipped(planted), val.images).argmax(1) == val.targets
        worst = [right[groups == group].mean() for group in np.flatnonzero(sizes >= thresholds.FEW)]
        return min(worst, default=0.0), right.mean()

    (plain, overall), (fair, fair_overall) = scores(before), scores(after)
    assert fair >= plain and fair_overall >= overall - 0.05
    assert export.simulated(after.graph, val.images[:], task=task("classification"))["top1_agreement"] == 1.0
    again = compression.apply(step, compression.apply({"method": "temperature"}, after, planted), planted)
    assert scores(again)[0] >= fair, "and a further step stands behind it"
    with pytest.raises(UserError, match="there are: mark"):
        compression.apply({**step, "column": "camera"}, before, planted)


# gaps


def partial_answers(planted):
    """Labels, answers of a model that is partial to some groups, and two columns of groups."""
    chance = np.random.default_rng(1)
    labels = planted.split("train").targets
    columns = {
        "mark": np.where(chance.random(len(labels)) < 0.3, "yes", "no").tolist(),
        "camera": chance.choice(["a", "b", "c"], len(labels)).tolist(),
    }
    sure = np.where(np.array(columns["mark"]) == "yes", 0.5, 0.8)
    return labels, np.where(chance.random(len(labels)) < sure, labels, chance.integers(0, 3, len(labels))), columns


def test_the_gaps_are_fairlearns(planted):
    labels, predicted, columns = partial_answers(planted)
    names = [planted.classes[label] for label in labels]
    found = group_gaps.gaps(labels, predicted, {"mark": columns["mark"]}, classes=planted.classes)

    def theirs(features):
        return fairlearn.metrics.MetricFrame(
            metrics=lambda y_true, y_pred: float(np.mean(y_true == y_pred)),
            y_true=labels,
            y_pred=predicted,
            sensitive_features=features,
        )

    marks = theirs({"mark": columns["mark"]})
    assert found["worst_group"] == pytest.approx(marks.group_min())
    assert found["group_gap"] == pytest.approx(marks.difference())
    assert found["worst_class"] == pytest.approx(theirs({"class": names}).group_min())
    cells = theirs({"class": names, "mark": columns["mark"]})
    assert found["worst_cell"] == pytest.approx(cells.group_min())
    named = {"worst_class", "worst_group", "worst_cell", "group_gap", "demographic_parity_gap", "equalized_odds_gap"}
    assert set(found) == {name + end for name in named for end in ("", "_low", "_high")}
    for name in named:
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]


@pytest.mark.parametrize("told", ["demographic_parity", "equalized_odds"])
def test_parity_and_odds_are_the_largest_that_fairlearn_finds_for_any_class_and_column(told, planted):
    labels, predicted, columns = partial_answers(planted)
    theirs = getattr(fairlearn.metrics, f"{told}_difference")
    each = {
        (column, k): theirs(labels == k, predicted == k, sensitive_features=values)
        for column, values in columns.items()
        for k in range(3)
    }
    assert len(each) == 6 and len(set(each.values())) == 6
    for name, values in columns.items():
        alone = group_gaps.treatment(labels, predicted, {name: values}, num_classes=3)
        assert alone[f"{told}_gap"] == pytest.approx(max(gap for (column, _), gap in each.items() if column == name))
    assert group_gaps.treatment(labels, predicted, columns, num_classes=3)[f"{told}_gap"] == pytest.approx(
        max(each.values())
    )


def test_groups_too_small_to_judge_widen_no_gap(planted):
    labels, predicted, columns = partial_answers(planted)
    before = group_gaps.gaps(labels, predicted, columns, classes=planted.classes)
    few = FEW - 1
    labels, predicted = np.append(labels, [0] * few), np.append(predicted, [2] * few)  # always wrong, all of one class
    more = {name: [*values, *["rare"] * few] for name, values in columns.items()}
    apart = [name for name in before if name.startswith(("worst_group", "group_gap", "demographic", "equalized"))]
    after = group_gaps.gaps(labels, predicted, more, classes=planted.classes)
    assert len(apart) == 12 and {name: after[name] for name in apart} == {name: before[name] for name in apart}
    after = group_gaps.gaps(
        np.append(labels, 0),
        np.append(predicted, 2),
        {n: [*v, "rare"] for n, v in more.items()},
        classes=planted.classes,
    )
    assert after["worst_group"] == 0 and after["equalized_odds_gap"] > before["equalized_odds_gap"], (
        "one more is enough"
    )


def test_without_groups_only_the_classes_are_told():
    labels = np.repeat([0, 1], 20)
    for columns in ({}, {"camera": [None] * 40}, {"camera": ["a"] * 40}):
        found = group_gaps.gaps(labels, labels, columns, classes=("a", "b"))
        assert {name for name in found if "gap" in name or "group" in name} == set(), "nothing to be apart from"
        assert {"worst_class", "worst_class_low", "worst_class_high"} <= set(found)
