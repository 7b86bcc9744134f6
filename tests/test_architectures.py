"""Every architecture in the folder: shapes, gradients, a few steps of learning, save and load, the graph, what its card says."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog import architectures
from neocog.errors import UserError
from neocog.training.module import Learner
from neocog.training.optimizer import optimizer
from neocog.training.recipe import Recipe

NAMES = architectures.names()
CONVOLUTIONAL = ("lenet", "vgg", "resnet")


def build(name, *, size=28, channels=1, classes=10):
    torch.manual_seed(0)
    return architectures.build(name, channels=channels, size=size, classes=classes)


def learner(name, **recipe):
    recipe = Recipe(**{"label_smoothing": 0.0, **recipe})
    return Learner(build(name), recipe, mean=(0.5,), std=(0.25,), classes=10, task="classification")


def test_the_folder_is_the_registry_in_the_order_of_history():
    assert NAMES == ["perceptron", "mlp", "lenet", "vgg", "resnet"]
    assert [architectures.card(name).year for name in NAMES] == [1958, 1986, 1998, 2014, 2015]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [8, 28, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_become_one_logit_a_class(name, size, channels):
    model = build(name, size=size, channels=channels, classes=7).eval()
    assert model(torch.rand(2, channels, size, size)).shape == (2, 7)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_backbone_and_head_come_apart(name):
    model = build(name).eval()
    images = torch.rand(2, 1, 28, 28)
    features = model.forward_features(images)
    assert features.ndim == 4
    assert torch.equal(model.head(features), model(images))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    model = build(name).train()
    images, labels = torch.rand(16, 1, 28, 28), torch.arange(16) % 10
    if architectures.card(name).own_rule:
        _, _, descent = model.learning_rule(images, labels)
        assert set(descent) == set(model.parameters())
        assert all(direction.abs().sum() > 0 for direction in descent.values())
    else:
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        for key, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_reduce_the_loss(name, digits):
    split = digits.split("train")
    images = torch.from_numpy(split.images[:128].copy())
    images = images.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, 2:-2, 2:-2]
    labels = torch.from_numpy(split.labels[:128].copy())
    module = learner(name, optimizer="adam", lr=0.003, flip=0.0, crop=0, precision="32-true")
    module._trainer = SimpleNamespace(
        accumulate_grad_batches=1,
        precision_plugin=None,
        strategy=SimpleNamespace(reduce=lambda tensor, reduce_op: tensor),
    )
    step = optimizer(module.model, module.recipe, decayed=module.decayed)
    losses = []
    for turn in range(30):
        loss = module.training_step((images, labels), turn)
        step.zero_grad()
        module.backward(loss)
        step.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_both_memory_formats_give_the_same_answer(name):
    model = build(name).eval()
    images = torch.rand(4, 1, 28, 28)
    plain = model(images)
    other = model.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_the_file_says(name):
    card, module = architectures.card(name), architectures.load(name)
    assert (card.year, card.idea) == (module.YEAR, module.IDEA)
    assert any(str(year) in card.about for year in (card.year, card.year + 1))  # some were printed a year later
    assert len(card.idea) < 70
    for size, (_, default) in card.sizes.items():
        assert module.build.__kwdefaults__[size] == default


def test_lenet_at_28_pixels_has_the_parameters_of_lenet_5():
    # C1 156, S2 0, C3 2,416 (full connections), C5 48,120, F6 10,164, output 850
    assert sum(parameter.numel() for parameter in build("lenet").parameters()) == 156 + 2416 + 48120 + 10164 + 850


def test_an_unknown_architecture_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'resnet'"):
        architectures.card("resnt")
    with pytest.raises(UserError):
        architectures.card("../errors")


def xor(name, steps, **sizes):
    """The share of XOR's four points that `name` gets right after training on them."""
    torch.manual_seed(0)
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).reshape(4, 2, 1, 1)
    labels = torch.tensor([0, 1, 1, 0])
    model = architectures.build(name, channels=2, size=1, classes=2, sizes=sizes)
    step = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        step.zero_grad()
        if hasattr(model, "learning_rule"):
            for parameter, direction in model.learning_rule(points, labels)[2].items():
                parameter.grad = direction
        else:
            torch.nn.functional.cross_entropy(model(points), labels).backward()
        step.step()
    return (model(points).argmax(1) == labels).float().mean().item()


def test_the_perceptron_cannot_learn_xor_and_the_mlp_does():
    assert xor("perceptron", 2000) <= 0.75
    assert xor("mlp", 500, widths=[8]) == 1.0


@given(st.integers(0, 10_000), st.integers(2, 6))
@settings(max_examples=25, deadline=None)
def test_the_perceptron_learns_whatever_a_line_can_part(seed, classes):
    """The perceptron convergence theorem (Novikoff 1962): a separable set is learned without error."""
    random = np.random.default_rng(seed)
    centres = np.eye(classes) * 6
    points = torch.tensor(centres.repeat(5, 0) + random.uniform(-1, 1, (classes * 5, classes)), dtype=torch.float32)
    labels = torch.arange(classes).repeat_interleave(5)
    model = architectures.build("perceptron", channels=classes, size=1, classes=classes)
    images = points.reshape(-1, classes, 1, 1)
    for _ in range(500):
        for parameter, direction in model.learning_rule(images, labels)[2].items():
            parameter.data -= direction
    assert (model(images).argmax(1) == labels).all()


def test_the_rule_is_the_gradient_of_its_criterion():
    torch.manual_seed(0)
    model = build("perceptron")
    torch.nn.init.normal_(model.units.weight)
    images, labels = torch.rand(32, 1, 28, 28), torch.randint(0, 10, (32,))
    loss, scores, descent = model.learning_rule(images, labels)
    scores = model(images)
    right = scores.gather(1, labels[:, None])[:, 0]
    rival = scores.scatter(1, labels[:, None], -torch.inf).max(1).values
    criterion = (model.margin + rival - right).clamp(min=0).mean()
    criterion.backward()
    torch.testing.assert_close(loss, criterion.detach())
    for parameter in model.parameters():
        torch.testing.assert_close(descent[parameter], parameter.grad)
