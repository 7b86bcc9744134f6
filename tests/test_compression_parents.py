"""A recipe begins where its parent stands: with its graph, its zeros, and weights that are or are not trained."""

from collections import Counter
from types import SimpleNamespace

import onnx
import pytest
import torch

from neocog import architectures, compression
from neocog.bundle import write
from neocog.bundle.read import GRAPH, WEIGHTS
from neocog.compression.chain import execute, export, finetune
from neocog.compression.chain.candidate import begin
from neocog.core.errors import UserError
from neocog.training.recipe import Recipe

SHORT = Recipe(epochs=1, batch_size=64, lr=0.05, flip=0.0, crop=0, label_smoothing=0.0, threads=1, images=256)


@pytest.fixture(scope="module")
def shipped(digits, tmp_path_factory):
    """Carries out steps on a bundle and ships `compressed/<name>`; "mlp" is there to begin with."""
    folder = tmp_path_factory.mktemp("parents")
    torch.manual_seed(0)
    network = architectures.build("mlp", channels=1, size=8, classes=10).eval()
    about = {"kind": "trained", "name": "mlp", "architecture": "mlp", "sizes": {}, "provenance": {}}
    made = {"mlp": write.write(folder / "mlp", network, digits, **about)}

    def compressed(name, parent, *steps):
        if name not in made:
            candidate = begin(made[parent])
            for step in steps:
                candidate = compression.apply(step, candidate, digits)
            made[name] = export.ship(
                folder / name, candidate, digits, name=name, steps=steps, provenance={}, verdict={}
            )
        return made[name]

    return compressed


@pytest.fixture(scope="module")
def rounded(shipped):
    return shipped("rounded", "mlp", {"method": "weight_only"}, {"method": "temperature"})


@pytest.fixture(scope="module")
def pruned(shipped):
    return shipped("pruned", "mlp", {"method": "prune_unstructured", "sparsity": 0.8})


def operators(graph):
    return Counter(node.op_type for node in graph.graph.node)


def test_a_recipe_for_a_rounded_model_goes_on_with_its_graph(rounded, digits):
    steps = [{"method": "temperature"}]
    kept, verdict = execute.walk(rounded, steps, {}, digits, recipe="again", trains=[None])
    before, after = operators(onnx.load(rounded.folder / GRAPH)), operators(kept.shipped(digits))
    assert after - before == {"Div": 1} and not before - after, "and what the parent had behind it is there still"
    size = (rounded.folder / GRAPH).stat().st_size
    assert verdict["before"]["size_bytes"] == size and verdict["steps"][0]["size_bytes"] < size + 1000


@pytest.mark.parametrize("method", ["prune_unstructured", "prune_structured", "half", "quantize_dynamic"])
def test_what_would_undo_the_graph_is_refused_and_the_parent_before_it_is_named(method, rounded, digits):
    with pytest.raises(UserError, match=r"compressed/rounded: a step has changed its graph.*Begin with trained/mlp"):
        compression.apply({"method": method}, begin(rounded), digits)


def test_what_would_undo_the_graph_is_refused_before_it_trains(rounded, digits, tmp_path):
    with pytest.raises(UserError, match="Begin with trained/mlp"):
        finetune.trainer(digits, SHORT, name="x", work=tmp_path)(begin(rounded))
    assert not list(tmp_path.iterdir())


def zeros(network):
    return {name: each.detach() == 0 for name, each in network.named_parameters() if each.ndim > 1}


def test_zeros_survive_a_training_and_are_packed_in_the_recipe_after(pruned, digits, tmp_path):
    begun = begin(pruned)
    assert begun.sparse
    trained = finetune.trainer(digits, SHORT, name="x", work=tmp_path / "work")(begun)
    before, after = zeros(begun.network), zeros(trained.network)
    assert all((after[name] | ~each).all() for name, each in before.items())
    assert any((trained.network.get_parameter(n) != begun.network.get_parameter(n)).any() for n in before)
    bundle = export.ship(tmp_path / "x", trained, digits, name="x", steps=[], provenance={}, verdict={})
    assert (bundle.folder / WEIGHTS).stat().st_size < 1.05 * (pruned.folder / WEIGHTS).stat().st_size
    assert begin(bundle).sparse, "and so on"


def test_a_model_that_nothing_pruned_is_not_sparse(shipped):
    assert not begin(shipped("mlp", "")).sparse


def test_a_fresh_student_is_pretrained_and_one_that_was_trained_is_not(shipped, digits, tmp_path, monkeypatch):
    asked = []

    def fit(build, *_, **__):
        network = build()
        asked.append(network.pretrain_epochs)
        return SimpleNamespace(model=network)

    monkeypatch.setattr(finetune, "fit", fit)
    train = finetune.trainer(digits, SHORT, name="x", work=tmp_path)
    step = {"method": "distill", "student": "dbn", "sizes": {"pretrain_epochs": 3}}
    student = compression.apply(step, begin(shipped("mlp", "")), digits, train=train)
    again = train(student)
    assert asked == [3, 0] and student.network.pretrain_epochs == again.network.pretrain_epochs == 3
