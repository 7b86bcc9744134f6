"""Compression: what a step promises it does, and what it cannot do it says before anything is computed."""

import copy
import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F

from neocog import architectures, compression
from neocog.architectures.blocks.norm import ChannelBias
from neocog.bundle import widths, write
from neocog.compression import distill, prune_unstructured
from neocog.compression.chain import channels, export, finetune, onnx_quantization
from neocog.compression.chain.candidate import Candidate, begin
from neocog.core.errors import UserError
from neocog.tasks.classification.calibration import negative_log_likelihood
from neocog.tasks.task import task
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

SHORT = Recipe(epochs=4, batch_size=64, lr=0.05, flip=0.0, crop=0, label_smoothing=0.0, threads=1)
SIZES = {"widths": [16, 32], "depths": [1, 1]}


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """The candidate of a small ResNet that has learned digits."""
    folder = tmp_path_factory.mktemp("trained")
    build = partial(architectures.build, "resnet", channels=1, size=8, classes=10, sizes=SIZES)
    fitted = fit(build, digits, SHORT, name="resnet", work=folder / "work")
    bundle = write.write(
        folder / "resnet",
        fitted.model,
        digits,
        kind="trained",
        name="resnet",
        architecture="resnet",
        sizes=SIZES,
        provenance={"data_digest": digits.digest, "seed": 0},
    )
    return begin(bundle)


def top1(graph, data):
    part = data.split("val")
    return float((export.logits(graph, np.ascontiguousarray(part.images)).argmax(1) == part.targets).mean())


def zeros(network):
    weights = [module.weight for module in network.modules() if isinstance(module, channels.WEIGHTED)]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def test_every_method_has_a_card_and_reading_it_imports_no_torch():
    script = (
        "import sys; from neocog import compression as c\n"
        "for n in c.names():\n"
        "    a = c.card(n); assert a.idea and a.cost and a.paper and a.about, n\n"
        "    assert set(a.suggested) <= {*a.settings, 'train'}, n\n"
        "print(len(c.names()), 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert int(said[0]) == len(compression.names()) >= 7
    assert said[1] == "False"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"method": "prune_structurd"}], "did you mean 'prune_structured'"),
        ([{"ratio": 0.5}], "names no method"),
        ([{"method": "prune_structured", "ration": 0.5}], "did you mean 'ratio'"),
        ([{"method": "quantize_static"}, {"method": "prune_structured"}], "comes after quantize_static"),
        ([{"method": "distill"}], "is a training"),
        ([{"method": "half", "train": {"epochs": 1}}], "does not train"),
    ],
)
def test_a_recipe_that_cannot_be_carried_out_is_named_at_the_door(steps, said):
    with pytest.raises(UserError, match=said):
        compression.check(steps, where="compress.mine")


def test_a_possible_recipe_passes_the_door():
    steps = [
        {"method": "prune_structured", "train": {}},
        {"method": "distill", "train": {"epochs": 1}},
        {"method": "half"},
    ]
    compression.check(steps, where="compress.mine")


@pytest.mark.parametrize("importance", ["magnitude", "taylor", "bn_scale", "random"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_half_of_the_channels_are_physically_gone(trained, digits, importance, scope):
    step = {"method": "prune_structured", "ratio": 0.5, "importance": importance, "scope": scope, "images": 256}
    before, after = copy.deepcopy(trained.network), compression.apply(step, trained, digits).network
    count = [
        sum(each.out_channels for each in net.modules() if isinstance(each, torch.nn.Conv2d)) for net in (before, after)
    ]
    assert 0.4 < count[1] / count[0] < 0.6
    assert all(torch.equal(a, b) for a, b in zip(trained.network.parameters(), before.parameters(), strict=True)), (
        "pure"
    )


@pytest.mark.parametrize("importance", ["taylor"])
def test_what_matters_least_goes_first(trained, digits, importance):
    part = digits.split("val")
    mean, std = (torch.tensor(each) * 255 for each in (digits.mean, digits.std))
    images = ((torch.from_numpy(part.images.copy()).float() - mean) / std).permute(0, 3, 1, 2)

    def kept(importance, seed=0):
        step = {"method": "prune_structured", "ratio": 0.25, "importance": importance, "seed": seed}
        answers = compression.apply(step, trained, digits).network(images).argmax(1)
        return float((answers.numpy() == part.targets).mean())

    assert kept(importance) > sum(kept("random", seed) for seed in range(5)) / 5


def test_macs_are_what_was_asked_for(trained, digits):
    step = {"method": "prune_structured", "ratio": 0.6, "of": "macs", "importance": "magnitude"}
    image = channels.example(digits)
    share = channels.macs(compression.apply(step, trained, digits).network, image) / channels.macs(
        trained.network, image
    )
    assert 0.3 < share <= 0.4


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"ratio": 0.5}, False),
        ({"ratio": 0.9}, False),
        ({"ratio": 0.95, "scope": "global"}, True),
        ({"ratio": 0.5, "round_to": 12}, True),
        ({"ratio": 0.9, "of": "macs"}, False),
        ({"ratio": 0.9999, "of": "macs"}, True),
    ],
)
def test_a_ratio_that_is_not_reached_is_told_with_what_is(trained, digits, step, told, capsys):
    after = compression.apply({"method": "prune_structured", **step}, trained, digits).network
    count = {"channels": channels.width, "macs": channels.macs}[step.get("of", "channels")]
    left, whole = (count(copy.deepcopy(net), channels.example(digits)) for net in (after, trained.network))
    said = capsys.readouterr().out
    assert told == (1 - left / whole < step["ratio"] - (0.02 if count is channels.width else 0.0))
    assert told == (f"ratio (={step['ratio']})" in said) == (f"reached, {100 * (1 - left / whole):.1f} % are" in said)


def test_a_layer_goes_down_to_one_channel_and_a_global_ranking_to_a_tenth(trained, digits):
    def narrowest(scope):
        step = {"method": "prune_structured", "ratio": 0.98, "scope": scope}
        after = compression.apply(step, trained, digits).network
        return min(each.out_channels for each in after.modules() if isinstance(each, torch.nn.Conv2d))

    assert (narrowest("layer"), narrowest("global")) == (1, 2)


EXCHANGED = [name for name in architectures.names() if "norm" in architectures.card(name).blocks]


@pytest.mark.parametrize("norm", ["layer", "instance", "group", "none"])
@pytest.mark.parametrize("name", EXCHANGED)
def test_networks_of_any_normalization_are_narrowed_where_their_channels_belong(name, norm):
    torch.manual_seed(0)
    before = architectures.build(name, channels=1, size=32, classes=10, sizes={"norm": norm}).eval()
    if hasattr(before, "drop_auxiliary"):
        before.drop_auxiliary()
    for module in before.modules():
        if isinstance(module, (ChannelBias, torch.nn.InstanceNorm2d, torch.nn.GroupNorm)):
            for parameter in module.parameters():
                torch.nn.init.normal_(parameter)  # each channel its own, so that a wrong one would show
    images = torch.randn(2, 1, 32, 32)
    after, masked = copy.deepcopy(before), copy.deepcopy(before)
    groups = channels.groups(masked, images)
    first = [torch.arange(len(group[0].idxs), dtype=torch.float32) for group in groups]
    channels.remove(after, images, first, share=0.5, scope="layer", round_to=1)
    assert sum(each.numel() for each in after.parameters()) < 0.6 * sum(each.numel() for each in before.parameters())
    record = widths.widths(after, built=before)
    again = widths.narrow(copy.deepcopy(before), record, after.state_dict())
    again.load_state_dict(after.state_dict())
    with torch.no_grad():
        assert after(images).shape == (2, 10)
        assert torch.equal(again(images), after(images)), "as a bundle brings it back"
        if any(isinstance(each, torch.nn.GroupNorm | torch.nn.LayerNorm) for each in before.modules()):
            return  # they look at all channels: without some, the others change
        for group in groups:
            for item in group:
                layer, half = item.dep.target.module, round(0.5 * len(group[0].idxs))
                if item.dep.handler.__name__ == "prune_in_channels" and isinstance(layer, channels.WEIGHTED):
                    gone = [i for i, root in zip(item.idxs, item.root_idxs, strict=True) if root < half]
                    layer.weight[:, gone] = 0.0
        assert not torch.allclose(masked(images), before(images), atol=1e-3)
        assert torch.allclose(masked(images), after(images), rtol=1e-3, atol=1e-4)


def test_a_pruned_bundle_comes_back_in_a_fresh_process_without_pickle(trained, digits, tmp_path):
    pruned = compression.apply({"method": "prune_structured", "importance": "magnitude"}, trained, digits)
    bundle = export.ship(
        tmp_path / "x", pruned, digits, name="x", steps=[], provenance={"data_digest": digits.digest}, verdict={}
    )
    assert bundle.kind == "compressed" and sorted(each.name for each in tmp_path.iterdir()) == ["x"]
    script = (
        "import sys, json, torch; from safetensors.torch import load_file; from neocog import architectures\n"
        "from neocog.bundle.widths import narrow\n"
        "card = json.load(open(sys.argv[1] + '/bundle.json')); tensors = load_file(sys.argv[1] + '/weights.safetensors')\n"
        "net = architectures.build('resnet', channels=1, size=8, classes=10, sizes=card['build']['sizes'])\n"
        "net = narrow(net, card['build']['widths'], tensors); net.load_state_dict(tensors)\n"
        "assert 'torch_pruning' not in sys.modules\n"
        "print(json.dumps([sum(p.numel() for p in net.parameters()), net.eval()(torch.ones(1, 1, 8, 8)).tolist()]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(bundle.folder)], capture_output=True, text=True, check=True
    )
    params, logits = json.loads(said.stdout)
    assert params == sum(each.numel() for each in pruned.network.parameters())
    with torch.no_grad():
        np.testing.assert_allclose(logits, pruned.network(torch.ones(1, 1, 8, 8)).numpy(), rtol=1e-4, atol=1e-4)


def test_zeros_survive_training_and_without_protection_they_would_not(trained, digits, tmp_path):
    step = {"method": "prune_unstructured", "sparsity": 0.7}
    train = finetune.trainer(digits, SHORT, name="x", work=tmp_path / "a")
    sparse = compression.apply(step, trained, digits, train=train)
    assert zeros(sparse.network) == pytest.approx(0.7, abs=0.01)
    assert top1(sparse.exported(digits), digits) > 0.9
    open_again = finetune.trainer(digits, SHORT, name="x", work=tmp_path / "b")
    assert zeros(open_again(trained.changed(sparse.network, sparse=False)).network) < 0.1


def test_gradual_pruning_is_fast_at_first(trained, digits):
    seen = []

    def train(candidate, auxiliary_loss=None):
        seen.append(zeros(candidate.network))
        return candidate

    compression.apply({"method": "prune_unstructured", "sparsity": 0.8, "rounds": 4}, trained, digits, train=train)
    steps = [b - a for a, b in pairwise([0.0, *seen])]
    assert seen[-1] == pytest.approx(0.8, abs=0.01)
    assert all(a > b for a, b in pairwise(steps)), "each round removes less than the one before"


def test_rewinding_finds_the_first_weights_of_a_network_with_auxiliary_classifiers(trained, digits):
    sizes = {"stem": 8, "widths": [2, 2], "depths": [1, 1]}
    torch.manual_seed(3)
    first = architectures.build("googlenet", channels=1, size=8, classes=10, sizes=sizes)
    first.drop_auxiliary()
    later = copy.deepcopy(first).eval()
    for parameter in later.parameters():
        parameter.data += 0.01
    card = {"build": {"sizes": sizes}, "provenance": {"seed": 3}}
    parent = replace(trained.parent, architecture="googlenet", card=card)
    candidate = Candidate(parent=parent, architecture="googlenet", sizes=sizes, network=later)
    after = compression.apply({"method": "prune_unstructured", "rewind": True, "sparsity": 0.5}, candidate, digits)
    assert zeros(after.network) == pytest.approx(0.5, abs=0.01)
    for a, b in zip(after.network.modules(), first.modules(), strict=True):
        if isinstance(a, channels.WEIGHTED):
            assert torch.equal(a.weight, torch.where(a.weight == 0, 0.0, b.weight))


@pytest.mark.parametrize(("student", "sizes"), [("lenet", {}), ("resnet", {"widths": [8, 16], "depths": [1, 1]})])
def test_a_student_has_no_first_weights_to_go_back_to(trained, digits, student, sizes):
    step = {"method": "distill", "student": student, "sizes": sizes, "train": {}}
    made = compression.apply(step, trained, digits, train=lambda candidate, auxiliary_loss=None: candidate)
    with pytest.raises(UserError, match=rf"a student of distill \(={student}\) never had"):
        compression.apply({"method": "prune_unstructured", "rewind": True}, made, digits)


def test_two_of_four_keeps_the_largest_two():
    weight = torch.tensor([[1.0, -4.0, 3.0, 2.0, 9.0, 0.0, 0.5, -1.0, 7.0]])
    kept = prune_unstructured.n_of_m(weight, keep=2, of=4)
    assert kept.tolist() == [[0.0, -4.0, 3.0, 0.0, 9.0, 0.0, 0.0, -1.0, 7.0]]


def test_soft_targets_are_hinton_s():
    draw = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(5, 10, generator=draw), torch.randn(5, 10, generator=draw)
    own = distill.SoftTargets(teacher, temperature=3.0, share=0.5).loss(student, teacher)
    p = F.softmax(teacher / 3, dim=1)
    by_hand = 9 * (p * (p.log() - F.log_softmax(student / 3, dim=1))).sum(1).mean()
    assert own.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert distill.SoftTargets(teacher, 3.0, 0.5).loss(teacher, teacher).item() == pytest.approx(0.0, abs=1e-6)


def test_an_ensemble_answers_with_the_mean(trained, digits):
    images = digits.split("val").images[:300]
    one = distill.answers([trained.parent], images)
    np.testing.assert_allclose(distill.answers([trained.parent] * 3, images), one, rtol=1e-5)
    assert one.shape == (len(images), 10)


def test_a_student_learns_from_its_teacher_alone(trained, digits, tmp_path):
    step = {"method": "distill", "student": "lenet", "share": 1.0, "train": {"epochs": 4}}
    train = finetune.trainer(digits, SHORT, name="x", work=tmp_path)
    student = compression.apply(step, trained, digits, train=train)
    assert student.architecture == "lenet"
    assert top1(student.exported(digits), digits) > 0.6


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
def test_integers_answer_as_floats_do(trained, digits, calibration):
    step = {"method": "quantize_static", "calibration": calibration, "images": 128}
    graph = compression.apply(step, trained, digits).graph
    kinds = onnx_quantization.operators(graph)
    assert kinds["QuantizeLinear"] >= kinds["Conv"]
    assert graph.graph.input[0].type.tensor_type.elem_type == 2, "uint8 images go in"
    assert export.simulated(graph, digits.split("val").images[:], task=task("classification"))["top1_agreement"] >= 0.99
    assert top1(graph, digits) > top1(trained.exported(digits), digits) - 0.02


def test_a_method_that_cannot_work_says_why(digits, trained):
    with pytest.raises(UserError, match="perceptron: it has no hidden units"):
        odd = copy.copy(trained)
        object.__setattr__(odd, "architecture", "perceptron")
        compression.apply({"method": "prune_structured"}, odd, digits)


def test_widths_of_an_unpruned_network_are_nothing_to_remember(trained):
    built = architectures.build("resnet", channels=1, size=8, classes=10, sizes=SIZES)
    assert widths.widths(trained.network, built=built) == {}


def test_a_temperature_changes_how_sure_a_model_is_and_no_answer(trained, digits):
    rounded = compression.apply({"method": "quantize_static", "images": 64}, trained, digits)
    for before in (trained, rounded):
        after = compression.apply({"method": "temperature"}, before, digits)
        val = digits.split("val")
        cold, warm = (export.logits(each.shipped(digits), val.images) for each in (before, after))
        assert (cold.argmax(1) == warm.argmax(1)).all()
        assert negative_log_likelihood(warm, val.targets) < negative_log_likelihood(cold, val.targets)
        assert export.simulated(after.graph, val.images[:], task=task("classification"))["top1_agreement"] >= 0.99
    twice = compression.apply({"method": "temperature"}, after, digits)
    onnx.checker.check_model(twice.graph, full_check=True)
    assert np.allclose(export.logits(twice.graph, val.images), warm, rtol=0.01), "the second finds nothing left to do"
    compression.check([{"method": "half"}, {"method": "temperature"}], where="here")
    with pytest.raises(UserError, match="comes after temperature"):
        compression.check([{"method": "temperature"}, {"method": "half"}], where="here")
