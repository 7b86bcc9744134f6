"""Methods that are trainings: what is learned is what is shipped, and a kill changes nothing of it."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from onnx import numpy_helper

from neocog import architectures, compression
from neocog.bundle import write
from neocog.compression import distill
from neocog.compression.chain import export, feature_distillation, finetune
from neocog.compression.chain.candidate import begin, normalized
from neocog.compression.chain.fake_quantization import Rounded
from neocog.core.errors import UserError
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

SHORT = Recipe(epochs=4, batch_size=64, lr=0.05, flip=0.0, crop=0, label_smoothing=0.0, threads=1)
SIZES = {"widths": [16, 32], "depths": [1, 1]}
NARROW = {"widths": [8, 16], "depths": [1, 1]}


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """The candidate of a small ResNet that has learned digits."""
    folder = tmp_path_factory.mktemp("trained")
    build = partial(architectures.build, "resnet", channels=1, size=8, classes=10, sizes=SIZES)
    network = fit(build, digits, SHORT, name="resnet", work=folder / "work").model
    about = {"kind": "trained", "name": "resnet", "architecture": "resnet", "sizes": SIZES, "provenance": {}}
    return begin(write.write(folder / "resnet", network, digits, **about))


@pytest.fixture(scope="module")
def two_bits(trained, digits, tmp_path_factory):
    """The same, after a training with weights of two bits."""
    train = finetune.trainer(digits, replace(SHORT, lr=0.02), name="x", work=tmp_path_factory.mktemp("bits"))
    return compression.apply({"method": "quantize_aware", "weight_bits": 2}, trained, digits, train=train)


def rounded(candidate, data, *, bits):
    train = data.split("train").images
    return Rounded(candidate.copied(), bits=bits, images=normalized(train[:512], data).split(64))


def answers(network, images, data):
    with torch.no_grad():
        return network.eval()(normalized(images, data)).argmax(1).numpy()


def test_two_bits_that_were_learned_are_better_than_two_bits_that_were_cut(trained, two_bits, digits):
    val = digits.split("val")
    learned = (export.logits(two_bits.graph, val.images).argmax(1) == val.targets).mean()
    cut = (answers(rounded(trained, digits, bits=2), val.images, digits) == val.targets).mean()
    assert learned > cut + 0.03, (learned, cut)


def test_the_integer_graph_answers_as_the_network_that_was_trained(two_bits, digits):
    images = digits.split("train").images[:1000]
    integers = export.logits(two_bits.graph, images).argmax(1)
    assert (integers == answers(rounded(two_bits, digits, bits=2), images, digits)).mean() >= 0.99


def test_what_was_rounded_is_the_same_when_it_is_rounded_again(two_bits, digits):
    network = two_bits.copied()
    network.load_state_dict(
        rounded(two_bits, digits, bits=2).settled(normalized(digits.split("val").images[:2], digits))
    )
    for name, value in two_bits.network.named_parameters():
        torch.testing.assert_close(value, network.get_parameter(name), rtol=1e-6, atol=0, msg=name)


def test_integers_of_the_graph_are_those_that_were_learned(two_bits):
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in two_bits.graph.graph.initializer}
    convolved = [values for values in weights.values() if values.dtype == np.int8 and values.ndim == 4]
    assert len(convolved) == 6
    assert all(set(np.unique(values)) <= {-64, -32, 0, 32, 64} for values in convolved), "-2, -1, 0, 1, 2 of 7 bits"


def test_without_training_there_is_nothing_to_learn_from(trained, digits):
    with pytest.raises(UserError, match="give the step a block such as train"):
        compression.apply({"method": "quantize_aware"}, trained, digits)


def test_ranges_follow_what_flows_in_training_and_hold_still_otherwise(trained, digits):
    network = rounded(trained, digits, bits=7)
    images = normalized(digits.split("val").images[:64], digits)
    before = network.high.clone()
    network(images * 2)
    assert torch.equal(network.high, before)
    network.train()(images * 2)
    assert network.high[0] > before[0]


@pytest.mark.parametrize("how", ["rounding", "hints"])
def test_a_training_that_was_cut_off_ends_with_the_same_bits(how, trained, digits, tmp_path):
    guide = None
    if how == "rounding":
        network = rounded(trained, digits, bits=4)
    else:
        soft = distill.SoftTargets(torch.zeros(digits.num_images("train"), 10), temperature=2.0, share=0.5)
        network, guide = feature_distillation.give(
            trained.copied(), trained.network, digits, soft, hints=1.0, attention=1.0
        )
    recipe = replace(SHORT, epochs=2, images=256)

    def train(folder, on_epoch=None):
        build = partial(copy.deepcopy, network.train())
        done = fit(build, digits, recipe, name="x", work=tmp_path / folder, auxiliary_loss=guide, on_epoch=on_epoch)
        return done.model.state_dict()

    def cut_off(row, seconds, last):
        raise InterruptedError

    whole = train("whole")
    with pytest.raises(InterruptedError):
        train("cut", cut_off)
    again = train("cut")
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    assert not all(torch.equal(value, network.state_dict()[name]) for name, value in whole.items()), "it did train"


def likeness(student, teacher, data, how):
    """How well maps of `student` explain those of `teacher`: share of variance, or of the places where they are large."""
    images = normalized(data.split("val").images[:], data)
    with torch.no_grad():
        own, other = (feature_distillation.features(network.eval(), images) for network in (student, teacher))
    if how == "attention":
        return float(
            (feature_distillation.attention_map(own) * feature_distillation.attention_map(other)).sum(1).mean()
        )
    own, other = (maps.permute(0, 2, 3, 1).flatten(0, 2) for maps in (own, other))
    own = torch.cat([own, torch.ones(len(own), 1)], dim=1)
    left = other - own @ torch.linalg.lstsq(own, other).solution
    return float(1 - left.var() / other.var())


@pytest.mark.parametrize(("how", "weight"), [("hints", 1.0), ("attention", 10.0)])
def test_hints_make_the_student_s_maps_those_of_the_teacher(how, weight, trained, digits, tmp_path):
    step = {"method": "distill", "student": "resnet", "sizes": NARROW, "share": 0.5}
    found = []
    for value in (0.0, weight):
        train = finetune.trainer(digits, SHORT, name="x", work=tmp_path / str(value))
        student = compression.apply(step | {how: value}, trained, digits, train=train)
        assert not hasattr(student.network, "translation")
        found.append(likeness(student.network, trained.network, digits, how))
    assert found[1] > found[0] + 0.02, found


def test_attention_is_where_the_energy_is():
    maps = torch.zeros(1, 2, 2, 2)
    maps[0, :, 1, 0] = torch.tensor([3.0, 4.0])
    assert feature_distillation.attention_map(maps).tolist() == [[0.0, 0.0, 1.0, 0.0]]
    assert torch.allclose(feature_distillation.attention_map(maps * 7), feature_distillation.attention_map(maps)), (
        "not how large"
    )


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"student": "mlp", "hints": 1.0}, "has no maps before its head; set hints and attention to 0"),
        (
            {"student": "resnet", "sizes": {"widths": [8, 8, 8, 8], "depths": [1] * 4}, "attention": 1.0},
            "one pixel large",
        ),
    ],
)
def test_maps_that_are_not_there_are_named(step, said, trained, digits):
    with pytest.raises(UserError, match=said):
        compression.apply(
            {"method": "distill", **step}, trained, digits, train=lambda candidate, auxiliary_loss=None: candidate
        )


def test_maps_that_do_not_fit_into_memory_are_named(trained, digits, monkeypatch):
    monkeypatch.setattr(feature_distillation, "MOST", 2**16)
    with pytest.raises(UserError, match=r"32 maps of \d x \d for 1,\d+ images take .* GiB"):
        compression.apply(
            {"method": "distill", "hints": 1.0}, trained, digits, train=lambda candidate, auxiliary_loss=None: candidate
        )
