"""Adaline, Madaline, deep belief network, support vector machine: each learns as its paper says, and fails where it must."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from neocog import architectures
from neocog.architectures.dbn import Boltzmann
from neocog.bundle import export as graphs
from neocog.bundle import parity
from neocog.core.errors import UserError


def build(name, *, channels=1, size=8, classes=10, **sizes):
    torch.manual_seed(0)
    return architectures.build(name, channels=channels, size=size, classes=classes, sizes=sizes)


def normalized(data, part):
    """The images float [N, 1, 8, 8] and labels [N] of one split."""
    split = data.split(part)
    pixels = torch.from_numpy(split.images.copy()).float().permute(0, 3, 1, 2) / 255
    return (pixels - data.mean[0]) / data.std[0], torch.from_numpy(split.targets.copy())


def top1(model, images, labels):
    with torch.inference_mode():
        return (model(images).argmax(1) == labels).float().mean().item()


def follow(model, images, labels, *, lr, epochs, momentum=0.9):
    """Train by the model's own rule in batches of 64, without shuffling; the loss of each epoch."""
    step = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    losses = []
    for _ in range(epochs):
        seen = []
        for part, wanted in zip(images.split(64), labels.split(64), strict=True):
            loss, _, descent = model.learning_rule(part, wanted)
            for parameter, direction in descent.items():
                parameter.grad = direction
            step.step()
            seen.append(loss.item())
        losses.append(np.mean(seen))
    return losses


def backpropagate(model, images, labels, *, lr, epochs):
    """Train by Adam in batches of 64; the loss of each epoch."""
    step = torch.optim.AdamW(model.parameters(), lr=lr)
    losses = []
    for _ in range(epochs):
        seen = []
        for part, wanted in zip(images.split(64), labels.split(64), strict=True):
            loss = torch.nn.functional.cross_entropy(model(part), wanted)
            step.zero_grad()
            loss.backward()
            step.step()
            seen.append(loss.item())
        losses.append(np.mean(seen))
    return losses


XOR = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]).reshape(4, 2, 1, 1), torch.tensor([0, 1, 1, 0])


def test_lms_is_the_gradient_of_the_squared_error(digits):
    images, labels = normalized(digits, "val")
    model = build("adaline")
    torch.nn.init.normal_(model.units.weight)
    loss, _, descent = model.learning_rule(images, labels)
    wanted = 2 * torch.nn.functional.one_hot(labels, 10) - 1
    squared = (model.units(images.flatten(1)) - wanted).square().sum(1).mean() / 2
    squared.backward()
    torch.testing.assert_close(loss, squared.detach())
    for parameter in model.parameters():
        torch.testing.assert_close(descent[parameter], parameter.grad)


def test_adaline_ends_at_the_least_squares_solution(digits):
    """Zeros against ones, through sixteen coarse pixels: to the answers of that solution, its one mistake included."""
    images, labels = normalized(digits, "train")
    few = labels < 2
    images, labels = torch.nn.functional.avg_pool2d(images[few], 2), labels[few]
    model = build("adaline", size=4, classes=2).double()
    images = images.double()
    step = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.98)
    for _ in range(4000):
        for parameter, direction in model.learning_rule(images, labels)[2].items():
            parameter.grad = direction
        step.step()
    inputs = torch.cat([images.flatten(1), torch.ones(len(images), 1)], 1)
    wanted = (2 * torch.nn.functional.one_hot(labels, 2) - 1).double()
    best = torch.linalg.lstsq(inputs, wanted, driver="gelsd").solution
    torch.testing.assert_close(model.units(images.flatten(1)), inputs @ best, rtol=0, atol=0.01)
    assert top1(model, images, labels) == ((inputs @ best).argmax(1) == labels).float().mean().item()


def test_adaline_cannot_learn_xor():
    model = build("adaline", channels=2, size=1, classes=2)
    follow(model, *XOR, lr=0.1, epochs=300)
    assert top1(model, *XOR) <= 0.75


def test_madaline_learns_xor_and_does_so_with_its_hidden_layer():
    solved = {}
    for trials in (0, 1):
        solved[trials] = 0
        for seed in range(10):
            model = build("madaline", channels=2, size=1, classes=2, width=4, trials=trials, dead_zone=0.0)
            torch.manual_seed(seed)
            torch.nn.init.normal_(model.hidden.weight, std=0.7)
            torch.nn.init.normal_(model.hidden.bias, std=0.5)
            torch.nn.init.normal_(model.units.weight, std=0.5)
            follow(model, *XOR, lr=0.6, epochs=100, momentum=0.0)
            solved[trials] += top1(model, *XOR) == 1.0
    assert solved[1] >= 8, solved
    assert solved[0] < solved[1], "the control: a random hidden layer that stays as it is"


def test_minimal_disturbance_makes_hidden_units_useful_on_digits(digits):
    scores = {}
    for trials in (0, 8):
        model = build("madaline", width=24, trials=trials)
        losses = follow(model, *normalized(digits, "train"), lr=0.5, epochs=12)
        assert losses[-1] < 0.7 * losses[0]
        scores[trials] = top1(model, *normalized(digits, "val"))
    assert scores[8] > scores[0] + 0.03


def test_a_flip_that_does_not_help_teaches_nothing():
    """Output units that are all right: neither layer moves. One that is wrong: only units whose flip puts it right do."""
    model = build("madaline", channels=2, size=1, classes=2, width=2, trials=2, dead_zone=0.0)
    with torch.no_grad():
        model.hidden.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        model.hidden.bias.zero_()
        model.units.weight.copy_(torch.tensor([[-1.0, 0.1], [1.0, -0.1]]))
        model.units.bias.zero_()
    image = torch.tensor([0.5, 0.2]).reshape(1, 2, 1, 1)
    loss, _, descent = model.learning_rule(image, torch.tensor([1]))
    assert loss == 0 and all(not direction.any() for direction in descent.values())
    loss, _, descent = model.learning_rule(image, torch.tensor([0]))
    assert loss == 2
    moved = descent[model.hidden.weight].abs().sum(1) > 0
    assert moved.tolist() == [True, False], "the second unit is nearer to zero, but its flip helps no output"
    assert not descent[model.units.weight].any(), "after the flip nothing is wrong"
    size = 1 + 0.5**2 + 0.2**2
    torch.testing.assert_close(descent[model.hidden.weight][0], torch.tensor([1.5 * 0.5, 1.5 * 0.2]) / size)


def machine(*, gaussian, visible=3, hidden=4):
    draw = torch.Generator().manual_seed(1)
    shapes = (hidden, visible), (hidden,), (visible,)
    tensors = (torch.randn(shape, generator=draw, dtype=torch.float64) * 0.6 for shape in shapes)
    return Boltzmann(*tensors, gaussian=gaussian)


def states(count):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=count)), dtype=torch.float64)


def log_partition(boltzmann):
    """By enumeration: over visible states, or over hidden ones where the visible integral is Gaussian."""
    if not boltzmann.gaussian:
        return (-boltzmann.free_energy(states(len(boltzmann.visible_bias)))).logsumexp(0)
    hidden = states(len(boltzmann.hidden_bias))
    push = hidden @ boltzmann.weight
    energies = hidden @ boltzmann.hidden_bias + push @ boltzmann.visible_bias + push.square().sum(1) / 2
    return energies.logsumexp(0) + len(boltzmann.visible_bias) * np.log(2 * np.pi) / 2


@pytest.mark.parametrize("gaussian", [False, True])
def test_contrastive_divergence_approaches_the_gradient_of_the_likelihood(gaussian):
    boltzmann = machine(gaussian=gaussian)
    draw = torch.Generator().manual_seed(2)
    data = torch.rand(8, 3, generator=draw, dtype=torch.float64)
    data = data * 3 - 1 if gaussian else data.round()
    parameters = boltzmann.weight, boltzmann.hidden_bias, boltzmann.visible_bias
    for parameter in parameters:
        parameter.requires_grad_()
    likelihood = -boltzmann.free_energy(data).mean() - log_partition(boltzmann)
    exact = torch.autograd.grad(likelihood, parameters)
    with torch.no_grad():
        many = data.repeat(5000, 1)
        errors = {}
        for k in (1, 30):
            *found, _ = boltzmann.contrast(many, k=k, generator=torch.Generator().manual_seed(3))
            errors[k] = max((a - b).abs().max().item() for a, b in zip(found, exact, strict=True))
    assert errors[30] < 0.03
    assert errors[1] > 2 * errors[30], "the control: one step is biased"


def test_pretraining_explains_digits_better_from_epoch_to_epoch_and_repeats_itself(digits):
    images, _ = normalized(digits, "train")
    said, weights = [], []
    for seed in (0, 0, 1):
        model = build("dbn", widths=[64, 32], pretrain_epochs=4)
        said.append([])
        model.pretrain(lambda: images.split(32), seed=seed, report=said[-1].append)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.layers.parameters()]))
    assert len(said[0]) == 2 * 4
    errors = [float(sentence.split()[-1]) for sentence in said[0]]
    assert errors[0] > errors[1] > errors[3] and errors[4] > errors[7]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_no_pretraining_changes_nothing(digits):
    images, _ = normalized(digits, "val")
    model = build("dbn", pretrain_epochs=0)
    before = [parameter.clone() for parameter in model.parameters()]
    model.pretrain(lambda: [images], seed=0, report=pytest.fail)
    assert all(map(torch.equal, before, model.parameters()))


def test_a_deep_stack_of_sigmoids_begins_to_learn_earlier_with_pretraining(digits):
    images, labels = normalized(digits, "train")
    losses = {0: 0.0, 15: 0.0}
    for epochs in losses:
        for seed in range(2):
            torch.manual_seed(seed)
            model = architectures.build(
                "dbn", channels=1, size=8, classes=10, sizes={"widths": [128] * 5, "pretrain_epochs": epochs}
            )
            model.pretrain(lambda: images.split(16), seed=seed, report=lambda sentence: None)
            losses[epochs] += backpropagate(model, images, labels, lr=0.002, epochs=4)[-1] / 2
    assert losses[15] < 0.85 * losses[0], losses


def solved(images, labels, **sizes):
    model = build("svm", **sizes)
    said = []
    model.solve(images, labels, seed=0, report=said.append)
    assert len(said) == 2
    return model


def test_with_every_image_a_landmark_the_machine_is_the_exact_one(digits):
    images, labels = normalized(digits, "train")
    two = labels < 2
    images, labels = images[two], labels[two]
    model = solved(images, labels, landmarks=len(images), classes=2, gamma=1.0, c=2.0)
    exact = SVC(C=2.0, gamma=1 / 64).fit(images.flatten(1).numpy(), labels.numpy())
    with torch.inference_mode():
        margins = np.diff(model(images).numpy(), axis=1)[:, 0]
    assert np.corrcoef(margins, exact.decision_function(images.flatten(1).numpy()))[0, 1] > 0.999


def test_few_landmarks_cost_little_and_few_images_are_no_error(digits):
    train, val = normalized(digits, "train"), normalized(digits, "val")
    model = solved(*train, landmarks=300)
    assert top1(model, *val) >= 0.97
    assert top1(solved(*train, landmarks=10), *val) < top1(model, *val)
    images, labels = train[0][:100], train[1][:100]
    few = solved(images, labels, landmarks=300)
    assert few.landmarks.shape == (300, 64) and not few.votes.weight[:, 100:].any()
    assert top1(few, images, labels) >= 0.95
    with torch.inference_mode():
        few.landmarks[100:] = torch.randn(200, 64)
    assert top1(few, images, labels) >= 0.95, "what has no vote does not matter"


def test_solving_repeats_itself_and_depends_on_the_seed(digits):
    images, labels = normalized(digits, "val")
    first, second = (solved(images, labels, landmarks=50).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    other = build("svm", landmarks=50)
    other.solve(images, labels, seed=1, report=lambda sentence: None)
    assert not torch.equal(first["landmarks"], other.landmarks)


def test_a_class_without_images_is_never_the_answer_and_one_class_is_refused(digits):
    images, labels = normalized(digits, "train")
    seen = (labels != 3) & (labels != 9)
    model = solved(images[seen], labels[seen], landmarks=100)
    with torch.inference_mode():
        assert not {3, 9} & set(model(images).argmax(1).tolist())
    with pytest.raises(UserError, match="two or more"):
        solved(images[labels == 3], labels[labels == 3])


def test_the_confidence_of_the_machine_is_about_its_share_of_right_answers(digits):
    images, labels = normalized(digits, "val")
    model = solved(*normalized(digits, "train"), landmarks=300)
    with torch.inference_mode():
        confidence = model(images).softmax(1).max(1).values.mean().item()
    assert abs(confidence - top1(model, images, labels)) < 0.05


@pytest.mark.parametrize("name", ["madaline", "svm"])
def test_what_was_learned_becomes_the_same_graph(name, digits, tmp_path):
    images, labels = normalized(digits, "train")
    model = build(name)
    if name == "svm":
        model.solve(images, labels, seed=0, report=lambda sentence: None)
    else:
        follow(model, images, labels, lr=1.0, epochs=4)
    deployed = graphs.Deployed(model.eval(), mean=digits.mean, std=digits.std, task=digits.task).eval()
    pixels = np.ascontiguousarray(digits.split("train").images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graphs.export(deployed, tmp_path / "model.onnx", images=pixels)
    assert parity.check(deployed, tmp_path / "model.onnx", pixels)["relative_error"] < 1e-3
