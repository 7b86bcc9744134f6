"""The building blocks: each choice in each architecture that names it, and what each block promises on its own."""

import itertools
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neocog import architectures
from neocog.architectures.blocks import CHOICES, activation, global_pooling, init, norm, padding, pooling
from neocog.architectures.blocks.network import exchange, take_channels
from neocog.core.errors import UserError

FILES = {
    "norm": norm,
    "activation": activation,
    "pooling": pooling,
    "global_pooling": global_pooling,
    "padding": padding,
    "init": init,
}
CARDS = [architectures.card(name) for name in architectures.names()]
EXCHANGES = [
    (card.name, block, choice) for card in CARDS for block in card.blocks for choice in get_args(CHOICES[block])
]


def test_every_kind_of_block_is_a_file_of_its_name():
    assert set(FILES) == set(CHOICES)
    assert len(EXCHANGES) > 170


@pytest.mark.parametrize(("name", "block", "choice"), EXCHANGES)
def test_every_choice_works_where_an_architecture_names_it(name, block, choice):
    torch.manual_seed(0)
    model = architectures.build(name, channels=1, size=32, classes=5, sizes={block: choice})
    logits = model.train()(torch.rand(4, 1, 32, 32))
    assert logits.shape == (4, 5) and logits.isfinite().all()
    logits.square().mean().backward()


def test_what_an_architecture_does_not_name_is_no_key_of_its():
    for card in CARDS:
        assert set(CHOICES) & set(card.sizes) == set(card.blocks), card.name


def test_the_default_leaves_the_network_of_the_paper():
    torch.manual_seed(0)
    plain = architectures.build("resnet", channels=1, size=28, classes=10)
    torch.manual_seed(0)
    asked = architectures.build("resnet", channels=1, size=28, classes=10, sizes={"norm": None})
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), asked.state_dict().values(), strict=True))


def test_a_form_without_such_a_block_says_so():
    said = r"architectures\.vgg\.norm \(=group\): its form vgg11 has nothing to exchange"
    with pytest.raises(UserError, match=said), torch.device("meta"):
        architectures.build("vgg", channels=3, size=224, classes=10, sizes={"form": "vgg11", "norm": "group"})


AXES = {"batch": (0, 2, 3), "layer": (1, 2, 3), "instance": (2, 3)}


@pytest.mark.parametrize("choice", AXES)
@given(seed=st.integers(0, 1000), channels=st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_a_normalization_makes_mean_0_and_variance_1_over_its_axes(choice, seed, channels):
    torch.manual_seed(seed)
    maps = torch.randn(6, channels, 5, 5) * 3 + 7
    out = norm.make(choice, channels).train()(maps)
    torch.testing.assert_close(out.mean(AXES[choice]), torch.zeros(out.mean(AXES[choice]).shape), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        out.var(AXES[choice], unbiased=False), torch.ones(out.mean(AXES[choice]).shape), atol=1e-3, rtol=0
    )


@given(channels=st.integers(1, 512))
def test_groups_divide_the_channels(channels):
    groups = norm.num_groups(channels)
    assert channels % groups == 0 and 1 <= groups <= 32
    assert channels not in (128, 256, 512) or groups == 32  # as in the paper


@given(seed=st.integers(0, 1000), side=st.integers(4, 9), kernel=st.integers(2, 3))
@settings(max_examples=20, deadline=None)
def test_stochastic_pooling_at_test_time_is_the_expectation_of_its_draws(seed, side, kernel):
    torch.manual_seed(seed)
    maps = torch.rand(1, 2, side, side)
    pool = pooling.StochasticPool2d(kernel)
    expected = pool.eval()(maps)
    windows = maps.unfold(2, kernel, kernel).unfold(3, kernel, kernel).flatten(4)
    torch.testing.assert_close(expected, (windows.square().sum(-1) / windows.sum(-1)))
    drawn = pool.train()(maps.expand(3000, -1, -1, -1)).mean(0, keepdim=True)
    torch.testing.assert_close(drawn, expected, atol=0.06, rtol=0)


def test_stochastic_pooling_draws_values_of_the_window_and_its_gradient_goes_to_the_one_drawn():
    torch.manual_seed(0)
    maps = torch.rand(2, 3, 6, 6, requires_grad=True)
    out = pooling.StochasticPool2d(2).train()(maps)
    windows = maps.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert (windows == out.unsqueeze(-1)).any(-1).all()
    out.sum().backward()
    assert maps.grad.sum() == out.numel() and set(maps.grad.unique().tolist()) == {0.0, 1.0}


def test_a_window_of_zeros_pools_to_zero():
    pool = pooling.StochasticPool2d(2)
    assert pool.eval()(torch.zeros(1, 1, 4, 4)).eq(0).all() and pool.train()(torch.zeros(1, 1, 4, 4)).eq(0).all()


@pytest.mark.parametrize(("kind", "other"), itertools.permutations(("max", "average", "stochastic"), 2))
def test_exchanged_pooling_keeps_window_stride_padding_and_rounding(kind, other):
    model = nn.Sequential(nn.MaxPool2d(3, 2, padding=1, ceil_mode=True))
    pooling.apply(model, kind)
    assert pooling.apply(model, other) == 1
    how = model[0]
    assert (how.kernel_size, how.stride, how.padding, how.ceil_mode) == (3, 2, 1, True)


def test_no_normalization_leaves_the_bias_that_the_convolution_would_have_had():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4))
    norm.apply(model, "none")
    assert torch.equal(model[1](torch.ones(1, 4, 2, 2)), torch.ones(1, 4, 2, 2))
    assert [parameter.shape for parameter in model[1].parameters()] == [(4, 1, 1)]


def test_gates_stay_when_activations_are_exchanged():
    model = architectures.build("efficientnet", channels=1, size=28, classes=10, sizes={"activation": "gelu"})
    kinds = [type(module) for module in model.modules()]
    assert nn.Sigmoid in kinds and nn.GELU in kinds and nn.SiLU not in kinds


@pytest.mark.parametrize("form", ["small", "coatnet_0_224"])
def test_blocks_of_timm_are_exchanged_too(form):
    with torch.device("meta"):
        chosen = {"form": form, "norm": "group", "activation": "relu"}
        model = architectures.build("hybrid", channels=3, size=224, classes=10, sizes=chosen)
    names = [type(module).__name__ for module in model.modules()]
    assert "GroupNorm" in names and "ReLU" in names
    assert not {"BatchNorm2d", "BatchNormAct2d", "GELU", "SiLU"} & set(names)
    assert names.count("Sigmoid"), "gates stay"


def test_a_norm_of_timm_keeps_the_activation_that_follows_it():
    plain = architectures.build("hybrid", channels=1, size=28, classes=10)
    asked = architectures.build("hybrid", channels=1, size=28, classes=10, sizes={"norm": "batch"})
    for model in (plain, asked):
        torch.manual_seed(0)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    images = torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(asked.train()(images), plain.train()(images))


@pytest.mark.parametrize("choice", init.INITS)
def test_an_initialization_draws_weights_anew_and_sets_biases_to_zero(choice):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 4))
    before = [parameter.clone() for parameter in model.parameters()]
    assert init.apply(model, choice) == 2
    after = list(model.parameters())
    assert not torch.equal(before[0], after[0]) and not torch.equal(before[2], after[2])
    assert after[1].eq(0).all() and after[3].eq(0).all()


def test_exchange_counts_what_it_found():
    assert exchange(nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU())), (nn.ReLU,), lambda _: nn.Tanh()) == 2
    assert exchange(nn.Sequential(nn.ReLU()), (nn.Tanh,), lambda _: nn.ReLU()) == 0


def test_the_first_convolution_takes_as_many_channels_as_the_images_have():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3, bias=False)), nn.Conv2d(8, 8, 1))
    take_channels(model, 1)
    assert model(torch.rand(1, 1, 16, 16)).shape == (1, 8, 8, 8)
    assert model[0][0].bias is None
