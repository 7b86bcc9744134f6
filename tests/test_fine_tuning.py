"""What is frozen stays as it was, what thaws learns, layers learn at their own rates, and a linear probe computes its features once."""

from dataclasses import replace
from functools import partial
from itertools import chain

import pytest
import torch
import torch.nn.functional as F
import yaml
from clones import write_params
from imports import ROOT

from neocog import architectures
from neocog.core.errors import UserError
from neocog.params import load
from neocog.tasks.classification import objective
from neocog.tasks.multilabel import objective as multilabel
from neocog.training import depth, freezing, optimizer
from neocog.training.fit import fit
from neocog.training.module import Learner
from neocog.training.programs import choose, linear_probe
from neocog.training.recipe import Recipe

RECIPE = Recipe(epochs=2, images=256, batch_size=64, threads=1)
SMALL = {"widths": [8, 8, 16, 16]}
NAMES = [name for name in architectures.names() if not architectures.card(name).own_rule]


def build(name="resnet", **sizes):
    return architectures.build(name, channels=1, size=8, classes=10, sizes=sizes or (SMALL if name == "resnet" else {}))


def begun(name="resnet"):
    torch.manual_seed(0)
    return build(name)


def train(digits, work, recipe, *, name="resnet", **more):
    return fit(partial(build, name), digits, recipe, name=name, work=work, **more)


def changed(model, name="resnet"):
    before = begun(name).state_dict()
    return {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}


@pytest.mark.parametrize("name", NAMES)
def test_every_network_has_a_head_and_layers_before_it(name):
    network = build(name)
    *backbone, head = depth.layers(network)
    assert sorted(chain(*backbone, head)) == sorted(name for name, _ in network.named_parameters())
    assert head and len(backbone) > 1
    assert all(any(dict(network.named_parameters())[each].ndim > 1 for each in names) for names in backbone[1:])
    scales = depth.scales(network, decay=0.5)
    assert [scales[names[0]] for names in (backbone[0], backbone[-1], head)] == [0.5 ** len(backbone), 0.5, 1.0]


def test_a_frozen_backbone_keeps_every_bit_and_the_head_learns(digits, tmp_path):
    flipped = replace(
        RECIPE, freeze="backbone", flip=0.5
    )  # with augmentation images go through the backbone in every epoch
    for recipe in (flipped, replace(flipped, flip=0.0)):
        model = train(digits, tmp_path / str(recipe.flip), recipe).model
        assert changed(model) == {key for key in model.state_dict() if key.startswith("head.")}


def test_without_freeze_all_of_it_learns(digits, tmp_path):
    assert {key.partition(".")[0] for key in changed(train(digits, tmp_path, RECIPE).model)} == {"features", "head"}


def test_frozen_norms_keep_their_statistics_too(digits, tmp_path):
    model = train(digits, tmp_path, replace(RECIPE, freeze="norms")).model
    norms = [name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    kept = {key for key in model.state_dict() if key.rpartition(".")[0] in norms}
    assert norms and not changed(model) & kept and changed(model)


def test_after_its_epochs_the_backbone_learns_and_a_resumed_training_ends_with_the_same_bits(digits, tmp_path):
    recipe = replace(RECIPE, epochs=3, freeze=1)
    whole = train(digits, tmp_path / "whole", recipe).model

    class Cut(Exception):
        pass

    def cut(row, seconds, last):
        if row["epoch"] == 1:
            raise Cut

    with pytest.raises(Cut):
        train(digits, tmp_path / "cut", recipe, on_epoch=cut)
    again = train(digits, tmp_path / "cut", recipe).model
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in whole.state_dict().items())
    assert any(key.startswith("features") for key in changed(whole))


def test_gradual_unfreezing_goes_from_the_last_layer_to_the_first():
    model, recipe = begun(), replace(RECIPE, epochs=9, freeze=1, unfreeze="gradual")
    *backbone, _ = depth.layers(model)
    counts = []
    for epoch in range(recipe.epochs):
        names = freezing.frozen(model, recipe, epoch=epoch)
        depths = [depth for depth, layer in enumerate(backbone) if set(layer) <= names]
        assert depths == list(range(len(depths)))
        counts.append(len(depths))
    assert counts[0] == len(backbone) and counts[4:] == [0] * 5 and counts == sorted(counts, reverse=True)
    assert len(set(counts)) > 2


def test_what_is_frozen_normalizes_as_in_evaluation_until_it_learns():
    model, recipe = begun(), replace(RECIPE, freeze=1)
    norm = next(module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d))
    freezing.apply(model, recipe, epoch=0)
    assert not norm.training and not norm.weight.requires_grad and model.head.training
    freezing.apply(model, recipe, epoch=1)
    assert norm.training and norm.weight.requires_grad


def test_layers_have_their_own_rates_and_the_schedule_multiplies_each(digits, tmp_path):
    recipe = replace(RECIPE, lr=0.1, layer_decay=0.5, head_lr=1.0)
    model = begun()
    made = optimizer.optimizer(model, recipe, decayed=optimizer.decayed(model), layers=optimizer.layers(model, recipe))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(each)]: group["lr"] for group in made.param_groups for each in group["params"]}
    *backbone, head = depth.layers(model)
    assert {rates[name] for name in head} == {1.0}
    assert [rates[layer[0]] for layer in backbone] == [0.1 * 0.5 ** (len(backbone) - i) for i in range(len(backbone))]
    assert len(rates) == len(list(model.parameters()))
    optimizer.check(made, recipe)
    assert train(digits, tmp_path, recipe).history[-1]["train/loss"] > 0


def test_a_linear_probe_learns_what_a_frozen_network_learns_image_by_image(digits, tmp_path, monkeypatch, capfd):
    recipe = replace(RECIPE, freeze="backbone", epochs=3)
    quick = train(digits, tmp_path / "quick", recipe)
    assert "once for all epochs" in capfd.readouterr().err
    monkeypatch.setattr(linear_probe, "MOST_BYTES", 1)  # too large to be kept
    slow = train(digits, tmp_path / "slow", recipe)
    assert "once" not in capfd.readouterr().err
    for key, value in slow.model.state_dict().items():
        torch.testing.assert_close(quick.model.state_dict()[key], value, rtol=1e-3, atol=1e-4)
    assert quick.history[-1]["val/top1"] == pytest.approx(slow.history[-1]["val/top1"], abs=0.01)


@pytest.mark.parametrize("extra", [{"flip": 0.5}, {"freeze": "norms"}, {"freeze": 1}, {"precision": "bf16-true"}])
def test_features_are_not_kept_where_epochs_differ(extra, digits):
    recipe = replace(RECIPE, **{"freeze": "backbone"} | extra)
    model = begun()
    assert not linear_probe.suits(Learner.of(model, digits, recipe, program=choose.of(model)))


def test_focal_loss_of_exponent_0_is_cross_entropy_and_shrinks_what_is_right():
    logits, labels = torch.randn(16, 5, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 5
    plain = objective.loss(logits, labels, reduction="none")
    focal = objective.loss(logits, labels, reduction="none", focal=2.0)
    chance = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(focal, plain * (1 - chance) ** 2)
    soft = objective.loss(logits, F.one_hot(labels, 5).float(), reduction="none", focal=2.0)
    torch.testing.assert_close(soft, focal)
    torch.testing.assert_close(objective.loss(logits, labels, focal=1e-9), objective.loss(logits, labels))


def test_class_weights_are_torchs_and_count_every_class_alike():
    counts = torch.tensor([60, 30, 10, 0])
    weights = objective.balanced(counts, images=100)
    torch.testing.assert_close((weights * counts)[:3], torch.full((3,), 100 / 3))
    logits, labels = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3
    wanted = F.cross_entropy(logits, labels, weight=weights)
    torch.testing.assert_close(objective.loss(logits, labels, class_weights=weights), wanted)
    torch.testing.assert_close(objective.loss(logits, labels, class_weights=weights, focal=1e-9), wanted)


def test_several_labels_an_image_have_both_too():
    draw = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(16, 3, generator=draw), torch.rand(16, 3, generator=draw) < 0.2
    plain = multilabel.loss(logits, targets)
    assert multilabel.loss(logits, targets, focal=2.0) < plain
    torch.testing.assert_close(multilabel.loss(logits, targets, focal=1e-9), plain)
    weights = multilabel.balanced(targets.sum(0), images=16)
    wanted = F.binary_cross_entropy_with_logits(logits, targets.float(), pos_weight=weights)
    torch.testing.assert_close(multilabel.loss(logits, targets, class_weights=weights), wanted)


def test_both_train(digits, tmp_path):
    plain = train(digits, tmp_path / "plain", RECIPE).model
    for extra in ({"focal": 2.0}, {"class_weights": "balanced"}):
        other = train(digits, tmp_path / next(iter(extra)), replace(RECIPE, **extra)).model
        assert any(not torch.equal(value, plain.state_dict()[key]) for key, value in other.state_dict().items())


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"unfreeze": "gradual"}, r"unfreeze \(=gradual\) .* freeze \(=none\); set freeze to a number"),
        ({"freeze": 2}, r"freeze \(=2\) lasts for all of epochs \(=2\); set freeze: backbone"),
        ({"freeze": 1, "strategy": "fsdp", "devices": 2}, r"strategy \(=fsdp\) .* freeze \(=1\); set freeze: none"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(keys, said):
    with pytest.raises(UserError, match=said):
        replace(RECIPE, **keys)


def blocks(folder, **architectures_):
    """What a project of those blocks is told."""
    (folder / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    named = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"architectures": architectures_, "compress": {}}
    named["tune"] |= {"architectures": [], "space": {}}
    named["robustness"] |= {"baseline": None}
    write_params(folder, named)
    return load.for_stage(f"train@{next(iter(architectures_))}", folder=folder)


def test_the_example_of_photographs_is_in_order(tmp_path):
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    params = yaml.safe_load((ROOT / "examples/photographs/params.yaml").read_text())
    write_params(tmp_path, params)
    assert {"evaluate", "benchmark", "robustness", "audit", "explain", "register", "report"} <= set(params), (
        "DVC asks for each"
    )
    recipe = load.for_stage("train@fine-tuned", folder=tmp_path).recipe("fine-tuned")
    assert (recipe.freeze, recipe.layer_decay) == (1, 0.8)
    assert load.for_stage("train@probe", folder=tmp_path).recipe("probe").freeze == "backbone"


@pytest.mark.parametrize(
    ("name", "block", "said"),
    [
        (
            "perceptron",
            {"freeze": "norms", "nesterov": False},
            r"perceptron\.freeze \(='norms'\): .*set architectures\.perceptron\.freeze: none",
        ),
        ("svm", {"class_weights": "balanced"}, r"svm\.class_weights \(='balanced'\): .*class_weights: none"),
        ("resnet", {"freeze": "backbon"}, r"freeze \(='backbon'\)"),
        (
            "resnet",
            {"pretrained": True},
            r"pretrained \(=true\), but nobody has trained form \(=small\) before; set form: resnet18",
        ),
        (
            "resnet",
            {"pretrained": True, "form": "resnet18", "weights": "a"},
            r"both say what it begins with; remove one",
        ),
        ("lenet", {"pretrained": True}, r"lenet\.pretrained .*unknown key"),
        (
            "resnet",
            {"augment": [{"method": "flop"}]},
            r"augment\[0\]\.method \(='flop'\): there is no such augmentation",
        ),
    ],
)
def test_blocks_that_cannot_be_are_refused_before_any_stage(name, block, said, tmp_path):
    plain = {"label_smoothing": 0.0} if architectures.card(name).own_rule else {}
    blocks(tmp_path, **{name: plain | ({"nesterov": False} if "nesterov" in block else {})})
    with pytest.raises(UserError, match=said):
        blocks(tmp_path, **{name: plain | block})
