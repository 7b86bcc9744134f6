"""Every architecture in the folder: shapes, gradients, a few steps of learning, save and load, the graph, what its card says."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from neocog import architectures
from neocog.core.errors import UserError
from neocog.training.module import Learner
from neocog.training.optimizer import optimizer
from neocog.training.programs import choose
from neocog.training.recipe import Recipe

NAMES = architectures.names()
CARDS = {name: architectures.card(name) for name in NAMES}
FLAT = ("perceptron", "adaline", "madaline", "mlp", "svm", "dbn")  # see an image as one long vector
IN_TWO_PARTS = [name for name in NAMES if name not in (*FLAT, "timm")]
FORMS = [(name, form) for name in NAMES for form in CARDS[name].forms]
PAPERS = {  # parameters in millions, as the papers or their authors' code have them
    "alexnet": 61.1,
    "vgg16": 138.4,
    "googlenet": 6.6,
    "resnet18": 11.7,
    "resnet50": 25.6,
    "resnet152": 60.2,
    "densenet121": 8.0,
    "mobilenet_v2": 3.5,
    "shufflenet_v2_x1_0": 2.3,
    "efficientnet_b0": 5.3,
    "vit_base_patch16_224": 86.6,
    "coatnet_0_224": 25.0,
}


def build(name, *, size=28, channels=1, classes=10):
    torch.manual_seed(0)
    return architectures.build(name, channels=channels, size=size, classes=classes)


def learner(name, *, sizes=None, **recipe):
    recipe = Recipe(**{"label_smoothing": 0.0, **recipe})
    torch.manual_seed(0)
    model = architectures.build(name, channels=1, size=28, classes=10, sizes=sizes)
    return Learner(
        model,
        recipe,
        mean=(0.5,),
        std=(0.25,),
        size=(28, 28),
        classes=10,
        task="classification",
        program=choose.of(model),
    )


def test_the_folder_is_the_registry_in_the_order_of_history():
    assert [
        *(
            "perceptron",
            "adaline",
            "madaline",
            "mlp",
            "svm",
            "lenet",
            "dbn",
            "alexnet",
            "googlenet",
            "vgg",
            "resnet",
            "densenet",
        ),
        *("mobilenet", "shufflenet", "efficientnet", "timm", "vit", "hybrid"),
    ] == NAMES
    assert [CARDS[name].year for name in NAMES] == sorted(CARDS[name].year for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (64, 64), (33, 20), (9, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_become_one_logit_a_class(name, size, channels):
    model = build(name, size=size, channels=channels, classes=7).eval()
    assert model(torch.rand(2, channels, *size)).shape == (2, 7)


@pytest.mark.parametrize("name", IN_TWO_PARTS)
def test_backbone_and_head_come_apart(name):
    model = build(name).eval()
    images = torch.rand(2, 1, 28, 28)
    features = model.forward_features(images)
    assert features.ndim == 4
    assert torch.equal(model.head(features), model(images))


STRIDES = {
    **{name: [1, 2, 4, 8] for name in ("alexnet", "vgg", "shufflenet")},
    **{name: [2, 4, 8] for name in ("googlenet", "densenet", "efficientnet", "hybrid")},
    **{name: [2, 4, 8, 16] for name in ("resnet", "mobilenet")},
    **{"lenet": [1, 2, 4], "timm": [2, 4, 8, 16, 32], "vit": [16]},  # at 64 px, in 4 x 4 patches
}


@pytest.mark.parametrize("width", [64, 96])
def test_backbones_give_their_maps_at_every_stride(width):
    for name in NAMES:
        model = build(name, size=(64, width)).eval()
        if name not in STRIDES:
            assert not hasattr(model, "forward_features"), name
            continue
        with torch.no_grad():
            images = torch.rand(2, 1, 64, width)
            maps, last = model.feature_maps(images), model.forward_features(images)
        assert list(maps) == STRIDES[name], name
        lost = 4 if name == "lenet" else 0  # its second filters have no border
        assert all(64 // stride - lost <= each.shape[2] <= 64 // stride for stride, each in maps.items()), name
        assert all(each.shape[0] == 2 for each in maps.values()), name
        assert all(64 * each.shape[3] == width * each.shape[2] for each in maps.values() if not lost), name
        assert torch.equal(maps[max(maps)], last), "the coarsest are those that the head decides by"
    assert len(STRIDES) == 12


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    model = build(name).train()
    images, labels = torch.rand(16, 1, 28, 28), torch.arange(16) % 10
    if hasattr(model, "solve"):
        pytest.skip("is solved, not trained")
    if hasattr(model, "learning_rule"):
        _, _, descent = model.learning_rule(images, labels)
        assert set(descent) == set(model.parameters())
        assert all(direction.abs().sum() > 0 for direction in descent.values())
    else:
        module = learner(name)
        step = torch.optim.SGD(module.model.parameters(), lr=0.1)
        for _ in range(2):  # what begins at zero lets nothing through in the first step
            step.zero_grad()
            module.loss(images, labels)[0].backward()
            step.step()
        model = module.model
        for key, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", [name for name in NAMES if name != "svm"])  # which is solved at once
def test_a_few_steps_reduce_the_loss(name, digits):
    split = digits.split("train")
    images = torch.from_numpy(split.images[:128].copy())
    images = images.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, 2:-2, 2:-2]
    labels = torch.from_numpy(split.targets[:128].copy())
    sizes = {"widths": [64]} if name == "dbn" else None  # its depth needs pretraining
    module = learner(name, sizes=sizes, optimizer="adam", lr=0.003, flip=0.0, crop=0, precision="32-true")
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
        of_all = {"form": "small", "weights": None, "pretrained": False} | dict.fromkeys(card.blocks)
        assert default == module.build.__kwdefaults__.get(size, of_all.get(size))


def in_form(name, form):
    """The network as it is shipped, on torch's meta device, which holds shapes and no numbers."""
    channels, size, classes = (1, 28, 10) if form == "small" else (3, 224, 1000)
    sizes = {"form": form} if len(CARDS[name].forms) > 1 else {}
    with torch.device("meta" if form != "small" else "cpu"):
        model = architectures.build(name, channels=channels, size=size, classes=classes, sizes=sizes).eval()
        if hasattr(model, "drop_auxiliary"):
            model.drop_auxiliary()
        return model, torch.zeros(1, channels, size, size)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_every_form_has_the_parameters_and_multiplications_that_its_file_says(name, form):
    model, image = in_form(name, form)
    counted = FlopCounterMode(display=False)
    with counted, torch.no_grad():
        logits = model(image)
    params, macs = CARDS[name].forms[form]
    assert logits.shape == (1, 10 if form == "small" else 1000)
    assert sum(parameter.numel() for parameter in model.parameters()) == params
    assert counted.get_total_flops() == 2 * macs


def test_published_forms_have_the_parameters_of_their_papers():
    forms = {form: params for card in CARDS.values() for form, (params, _) in card.forms.items()}
    for form, millions in PAPERS.items():
        assert round(forms[form] / 1e6, 1) == millions, form


@pytest.mark.parametrize(("name", "form"), [pair for pair in FORMS if pair[1] != "small"])
def test_a_published_form_has_a_backbone_whatever_the_images_and_classes(name, form):
    with torch.device("meta"):
        model = architectures.build(name, channels=1, size=64, classes=7, sizes={"form": form}).eval()
        images = torch.zeros(2, 1, 64, 64)
    assert model(images).shape == (2, 7)
    features = model.forward_features(images)
    assert features.ndim == 4 and features.shape[0] == 2
    assert {16, 32} & set(model.feature_maps(images)), "as detectors want them"


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_are_those_of_params_yaml(name):
    block = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())["architectures"].get(name, {})
    sizes = CARDS[name].sizes
    own = {key: value for key, value in block.items() if key in sizes}
    assert own == {key: list(sizes[key][1]) if isinstance(sizes[key][1], tuple) else sizes[key][1] for key in own}


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
