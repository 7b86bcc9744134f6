"""Networks that learn in a way of their own go through the same `fit` and the same bundle."""

import time
from dataclasses import replace

import pytest
import torch

from neocog import architectures
from neocog.architectures import dbn
from neocog.bundle import provenance, rebuild, write
from neocog.core.errors import UserError
from neocog.tasks.classification import objective
from neocog.training.fit import fit
from neocog.training.programs import choose, pretraining
from neocog.training.programs.supervised import SupervisedLearning
from neocog.training.recipe import Recipe

QUICK = Recipe(
    epochs=2,
    batch_size=128,
    optimizer="adam",
    lr=0.003,
    flip=0.0,
    crop=0,
    label_smoothing=0.0,
    threads=1,
    accelerator="cpu",
)
INCEPTION = {"stem": 4, "widths": [2, 2], "depths": [1, 1], "dropout": 0.0, "auxiliary": 0.3}
DEEP = {"widths": [32, 16], "pretrain_epochs": 1}


def train(digits, work, name, sizes, recipe=QUICK):
    def build():
        return architectures.build(name, channels=1, size=8, classes=10, sizes=sizes)

    return fit(build, digits, recipe, name=name, work=work)


def bundle(digits, folder, name, sizes, fitted):
    return write.write(
        folder,
        fitted.model,
        digits,
        kind="trained",
        name=name,
        architecture=name,
        sizes=sizes,
        provenance=provenance.provenance(fitted, data_digest="", params={}, code_digest=""),
    )


def test_auxiliary_classifiers_teach_the_early_layers_and_stay_out_of_the_bundle(digits, tmp_path):
    torch.manual_seed(0)
    network = architectures.build("googlenet", channels=1, size=8, classes=10, sizes=INCEPTION)
    _, [early] = network.forward_auxiliary(torch.rand(4, 1, 8, 8))
    early.sum().backward()
    taught = [key for key, parameter in network.named_parameters() if parameter.grad is not None]
    assert taught and all(key.startswith(("features.0.", "auxiliary.")) for key in taught)

    fitted = train(digits, tmp_path / "work", "googlenet", INCEPTION)
    shipped = bundle(digits, tmp_path / "googlenet", "googlenet", INCEPTION, fitted)
    again = rebuild.rebuild(shipped)
    assert not any("auxiliary" in key for key in (*fitted.model.state_dict(), *again.state_dict()))
    images = torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(again(images), fitted.model(images))


def test_an_auxiliary_loss_counts_its_share(digits, tmp_path):
    with_it = train(digits, tmp_path / "a", "googlenet", INCEPTION).history[0]["train/loss"]
    without = train(digits, tmp_path / "b", "googlenet", {**INCEPTION, "auxiliary": 0.0}).history[0]["train/loss"]
    assert 1.15 < with_it / without < 1.45


def test_pretraining_happens_once_before_the_first_epoch(digits, tmp_path, capsys):
    train(digits, tmp_path / "work", "dbn", DEEP, Recipe(**{**QUICK.asdict(), "betas": (0.9, 0.999), "epochs": 1}))
    assert "dbn: " in capsys.readouterr().err.split("dbn 1/1")[0]
    train(digits, tmp_path / "work", "dbn", DEEP, Recipe(**{**QUICK.asdict(), "betas": (0.9, 0.999), "epochs": 1}))
    assert "dbn: " not in capsys.readouterr().err, "its result is in the checkpoint"


def test_pretraining_moves_the_weights_and_counts_as_training_time(digits, tmp_path, monkeypatch):
    short = Recipe(**{**QUICK.asdict(), "betas": (0.9, 0.999), "epochs": 1, "lr": 1e-9})
    pretrained = train(digits, tmp_path / "a", "dbn", {**DEEP, "pretrain_epochs": 3}, short)
    drawn = train(digits, tmp_path / "b", "dbn", {**DEEP, "pretrain_epochs": 0}, short)
    monkeypatch.setattr(dbn.DBN, "pretrain", lambda *_, **__: time.sleep(1.5))
    slow = train(digits, tmp_path / "c", "dbn", DEEP, short)
    first = [next(iter(fitted.model.parameters())) for fitted in (pretrained, drawn)]
    assert (first[0] - first[1]).abs().max() > 0.01
    assert slow.seconds >= 1.5


def test_a_solved_model_has_one_row_of_history_and_comes_back_from_its_bundle(digits, tmp_path):
    sizes = {"landmarks": 200}
    fitted = train(digits, tmp_path / "work", "svm", sizes)
    assert [row["epoch"] for row in fitted.history] == [1]
    assert fitted.history[0]["val/top1"] > 0.95
    shipped = bundle(digits, tmp_path / "svm", "svm", sizes, fitted)
    images = torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(rebuild.rebuild(shipped)(images), fitted.model(images))


@pytest.mark.parametrize(("name", "lr"), [("perceptron", 0.01), ("adaline", 0.01), ("madaline", 2.0)])
def test_a_rule_of_its_own_learns_digits(digits, tmp_path, name, lr):
    recipe = Recipe(
        epochs=15,
        batch_size=64,
        lr=lr,
        flip=0.0,
        crop=0,
        weight_decay=0.0,
        label_smoothing=0.0,
        threads=1,
        accelerator="cpu",
    )
    assert train(digits, tmp_path / "work", name, {}, recipe).history[-1]["val/top1"] > 0.85


def test_each_network_learns_by_the_program_whose_methods_it_has():
    def program(name):
        return type(choose.of(architectures.build(name, channels=1, size=28, classes=10)))

    found = {name: program(name) for name in architectures.names()}
    own = {name: each.__name__ for name, each in found.items() if each is not SupervisedLearning}
    assert own == {
        "perceptron": "LearningRule",
        "adaline": "LearningRule",
        "madaline": "LearningRule",
        "svm": "ClosedForm",
        "googlenet": "AuxiliaryHeads",
    }
    pretrained = [
        name
        for name in found
        if isinstance(architectures.build(name, channels=1, size=28, classes=10), pretraining.SupportsPretraining)
    ]
    assert pretrained == ["dbn"]


def test_images_are_mixed_only_where_the_task_can_mix_targets(digits, tmp_path, monkeypatch):
    monkeypatch.delattr(objective, "soften")
    with pytest.raises(UserError, match=r"mixup \(=0.2\).*targets of the task classification cannot be blended"):
        train(digits, tmp_path, "mlp", {"widths": [8]}, replace(QUICK, mixup=0.2))
    train(digits, tmp_path, "mlp", {"widths": [8]}, replace(QUICK, epochs=1))
